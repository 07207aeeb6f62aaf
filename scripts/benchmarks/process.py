"""Programs under measurement: started on one core, their CPU time and memory read from /proc, ended with all they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Program:
    """`with Program(["nginx", …], core=0, log=path) as program: …`"""

    def __init__(
        self,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = ["taskset", "-c", str(core), *command]
        self._log = log
        self._env = {**os.environ, "NO_PROXY": "*", "no_proxy": "*", **(env or {})}
        self._cwd = cwd

    def __enter__(self) -> Program:
        self.started = time.monotonic()
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(8)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def ready(self, probe: Callable[[], bool], *, patience: float = 120) -> float:
        """Seconds from the start until the probe is content."""
        while not probe():
            if self._process.poll() is not None or time.monotonic() - self.started > patience:
                raise RuntimeError(
                    f"{self._command[3]} did not start:\n{self._log.read_text(errors='replace')[-1500:]}"
                )
            time.sleep(0.05)
        return time.monotonic() - self.started

    def cpu(self) -> float:
        """Seconds of user and system time, of the whole tree."""
        return sum(_cpu(pid) for pid in self._tree())

    def memory(self) -> float:
        """Megabytes, each shared page divided among those that share it."""
        return sum(_pss(pid) for pid in self._tree()) / 1024

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self._process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found


def _stat(pid: int) -> list[str]:
    """The fields after the program's name: state, parent, …"""
    try:
        return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _pss(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def busy() -> float:
    """Seconds that all cores together have worked."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def free_port() -> int:
    """One whose neighbour is free too, for the metrics."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
