"""Someone else's programs, started and ended by the tests. A missing one is a failure: scripts/install-tools brings them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
CLAUDE = TOOLS / "claude-code/node_modules/.bin/claude"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


async def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: str = "",
    seconds: float = 90,
) -> Ended:
    """To its end, with nothing of our environment but PATH; killed with all it started when it takes too long."""
    words = [str(word) for word in command]
    assert shutil.which(words[0]), f"{words[0]} is missing: run scripts/install-tools"
    process = await asyncio.create_subprocess_exec(
        *words,
        env={"PATH": os.environ["PATH"], **(env or {})},
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(input.encode()), seconds)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
