"""A child process that speaks lines: started from an exact argv, watched, bounded, and ended with all its descendants."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gateway.errors import UpstreamClosed

LINE = 32 * 1024 * 1024
STDERR_LINES = 200
STDERR_LINE = 2000
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "SYSTEMROOT")
GRACE = 2.0
LAST_WORDS = 0.2  # seconds in which what a program that has ended wrote about it is still read


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What every program needs, and what the file gives; none of the gateway's own secrets."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, **extra}


class Child:
    """One run of the program. `heard` gets each line of its output, `ended` is called once when it is gone."""

    def __init__(self, process: asyncio.subprocess.Process, heard: Callable[[bytes], None]) -> None:
        self._process = process
        self._heard = heard
        self._reader = asyncio.create_task(self._read())
        self._errors = asyncio.create_task(self._read_errors())
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | None, heard: Callable[[bytes], None]
    ) -> Child:
        """Raises UpstreamClosed where the program cannot be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=clean_environment(env),
                cwd=cwd,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # its own process group: what it starts is ended with it
                limit=LINE,
            )
        except OSError as exc:
            raise UpstreamClosed(f"cannot start {argv[0]!r}: {exc.strerror or exc}", sent=False) from exc
        return cls(process, heard)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def write(self, line: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None or self.ended.done():
            raise UpstreamClosed("the program has ended", sent=False)
        if not _room(stdin):
            raise UpstreamClosed("the program does not read its input", sent=False)
        try:
            stdin.write(line.replace(b"\n", b" ") + b"\n")
            await stdin.drain()
        except (ConnectionError, RuntimeError) as exc:
            raise UpstreamClosed("the program has closed its input") from exc

    def write_soon(self, line: bytes) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing() and _room(stdin):
            stdin.write(line + b"\n")

    async def _read(self) -> None:
        stdout = self._process.stdout
        try:
            while stdout is not None and (line := await stdout.readline()):
                self._heard(line)
        except ValueError:  # a line beyond the limit: what follows it cannot be told apart
            self._signal(signal.SIGKILL)
        finally:
            await asyncio.wait({self._errors}, timeout=LAST_WORDS)
            if not self.ended.done():
                self.ended.set_result(None)

    async def _read_errors(self) -> None:
        """Always drained, so that a program that floods it is never blocked; only the last lines are kept."""
        stderr = self._process.stderr
        while stderr is not None and (part := await stderr.read(65536)):
            for line in part.decode("utf-8", "replace").splitlines():
                self.stderr.append(line[:STDERR_LINE])

    async def stop(self, grace: float = GRACE) -> None:
        """Its input is closed, then it is asked, then it is made to: it and everything that it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self._signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), grace)
                break
        self._signal(signal.SIGKILL)  # descendants that outlived it
        for task in (self._reader, self._errors):
            task.cancel()
        await asyncio.gather(self._reader, self._errors, return_exceptions=True)

    def last_words(self, lines: int = 3) -> str:
        """What it wrote last on its standard error, fit for a log."""
        text = " | ".join(line for line in list(self.stderr)[-lines:] if line.strip())
        return "".join(char if char.isprintable() else "?" for char in text)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _room(stdin: asyncio.StreamWriter) -> bool:
    """Less waits to be read than one line may have."""
    return stdin.transport.get_write_buffer_size() < LINE
