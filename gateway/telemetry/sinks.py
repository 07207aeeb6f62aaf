"""Where audit lines go: a file that is rotated and one day removed, or a descriptor."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from gateway.errors import ConfigError
from gateway.telemetry import chain


class Sink(Protocol):
    def write(self, lines: list[bytes]) -> None:
        """In the audit's own thread; may raise."""

    def close(self) -> None: ...


class FdSink:
    """`FdSink(1)`: standard output, for a platform that collects it."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def write(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        pass


class FileSink:
    """`FileSink("audit.jsonl", max_bytes=64 << 20, retention=90 * 86400)`; full files become `audit.jsonl.TIME`."""

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        retention: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._max = max_bytes
        self._retention = retention
        self._clock = clock
        try:
            self._open()
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._fd).st_size
        # Whether the last line has no end, because the disk was full.
        self._torn = self._size > 0 and os.pread(self._fd, 1, self._size - 1) != b"\n"

    def write(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        if self._size and self._size + len(data) > self._max:
            self._rotate()
        if self._torn:
            data = b"\n" + data
        while data:
            written = os.write(self._fd, data)
            self._size += written
            self._torn = data[written - 1 : written] != b"\n"
            data = data[written:]

    def _aside(self) -> Path:
        """A name that no file has yet: a rotation in the same millisecond would be lost."""
        times = itertools.count(int(self._clock() * 1000))
        names = (self.path.with_name(f"{self.path.name}.{time:015d}") for time in times)
        return next(name for name in names if not name.exists())

    def _rotate(self) -> None:
        full = self._fd
        with contextlib.suppress(FileNotFoundError):  # somebody else has moved it away
            self.path.rename(self._aside())
        self._open()
        os.close(full)
        if self._retention is not None:
            oldest = self._clock() - self._retention
            for old in files(self.path)[:-1]:
                if old.stat().st_mtime < oldest:
                    old.unlink()

    def close(self) -> None:
        os.close(self._fd)


def files(path: Path) -> list[Path]:
    """All files of one audit, the oldest first."""
    rotated = sorted(p for p in path.parent.glob(f"{path.name}.*") if p.suffix[1:].isdigit())
    return [*rotated, path] if path.exists() else rotated


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every line with its place, the oldest first."""
    for file in files(path):
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                yield f"{file.name}:{number}", line


def last_hash(path: Path) -> str:
    """The hash of the newest whole line, from the file's end."""
    for file in reversed(files(path)):
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 256 * 1024))
            for line in reversed(stream.read().splitlines()):
                if found := chain.own(line):
                    return found
    return ""
