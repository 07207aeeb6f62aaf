"""A built package under AWS's own Runtime Interface Emulator (inside the aws-sam-cli wheel), with the runtime client of Lambda.

Each emulator is one environment: its first answer is a cold start. Nothing of the source tree is on the path.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools"
EMULATOR = TOOLS / "sam/lib/python3.11/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"
PYTHON = TOOLS / "ric/bin/python"
PATH = "/2015-03-31/functions/function/invocations"


@dataclass(frozen=True, slots=True)
class Environment:
    port: int
    process: subprocess.Popen[bytes]

    def invoke(self, event: Mapping[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", PATH, json.dumps(event))
            return json.loads(connection.getresponse().read())

    def timed(self, event: Mapping[str, Any]) -> tuple[float, Any]:
        """In milliseconds."""
        started = time.perf_counter()
        answer = self.invoke(event)
        return (time.perf_counter() - started) * 1000, answer


@contextlib.contextmanager
def emulated(
    package: Path,
    *,
    handler: str = "gateway.aws.handler",
    env: Mapping[str, str],
    log: Path = Path(os.devnull),
) -> Iterator[Environment]:
    assert EMULATOR.exists(), f"{EMULATOR} is missing: scripts/install-tools gets it"
    port = _free_port()
    command = [str(EMULATOR), "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
               "--runtime-api-address", f"127.0.0.1:{_free_port()}", str(PYTHON), "-m", "awslambdaric", handler]  # fmt: skip
    basic = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "LAMBDA_TASK_ROOT": str(package)}
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=package, env={**basic, **env}, stdout=out, stderr=out, start_new_session=True)  # fmt: skip
    try:
        _await(port, process)
        yield Environment(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the runtime client too
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        assert process.poll() is None, "the emulator ended at once"
        time.sleep(0.005)
    raise AssertionError("the emulator did not start")
