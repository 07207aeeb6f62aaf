"""Starts dynoxide, a DynamoDB engine with real conditional writes, on a port of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

BINARY = Path(__file__).parent.parent.parent / ".tools/dynoxide/dynoxide"


class Engine:
    """`with Engine() as engine:` … `engine.url`; `stop` and `start` as often as a test likes: the data is in a file."""

    def __init__(self, path: Path) -> None:
        assert BINARY.exists(), f"{BINARY} is missing: scripts/install-tools gets it"
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(BINARY), "--host", "127.0.0.1", "--port", str(self.port), "--db-path", str(self._path)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                assert self._process.poll() is None, "dynoxide ended at once"
                time.sleep(0.01)
        raise AssertionError("dynoxide did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
