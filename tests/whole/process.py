"""`gateway serve` as a process of its own, as a user starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.url = ""
        self._news = asyncio.Event()
        self._reading = [asyncio.create_task(self._read(process.stdout, self.lines)),
                         asyncio.create_task(self._read(process.stderr, self.errors))]  # fmt: skip

    async def _read(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        assert stream is not None
        while line := await stream.readline():
            into.append(line.decode().rstrip("\n"))
            self._news.set()
        self._news.set()

    async def line(self, begins: str, *, errors: bool = False, seconds: float = 30) -> str:
        """Waits for a line that contains this."""
        lines = self.errors if errors else self.lines
        async with asyncio.timeout(seconds):
            while True:
                self._news.clear()
                for line in lines:
                    if begins in line:
                        return line
                assert not all(task.done() for task in self._reading), f"it ended: {self.lines} {self.errors}"
                await self._news.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float = 30) -> int:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._reading)
            return await self.process.wait()


@asynccontextmanager
async def serving(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Ready, and with its URL known."""
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", *arguments,
            cwd=cwd, env={**os.environ, **(env or {})},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
    )  # fmt: skip
    try:
        process.url = (await process.line("ready")).removeprefix("ready ")
        yield process
    finally:
        if process.process.returncode is None:
            process.process.kill()
        await process.ended()
