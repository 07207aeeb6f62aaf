"""Runs contenders in processes of their own, and adds up what they did."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STARTING = 3.0  # seconds given to all of them to start


@dataclass(frozen=True, slots=True)
class Outcome:
    admitted: int
    decisions: int
    writes: int
    seconds: float


async def contend(
    url: str, *, processes: int, rate: float, burst: float, seconds: float, pace: float = 0.0
) -> Outcome:
    at = time.time() + STARTING
    figures = [str(figure) for figure in (rate, burst, seconds, pace, at)]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.stores.contender", url, *figures,
            cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(processes)
    ]  # fmt: skip
    ended = await asyncio.gather(*(process.communicate() for process in started))
    found = [json.loads(output) for output, _ in ended]
    return Outcome(
        sum(one["admitted"] for one in found),
        sum(one["decisions"] for one in found),
        sum(one["writes"] for one in found),
        max(one["last"] for one in found) - min(one["first"] for one in found),
    )
