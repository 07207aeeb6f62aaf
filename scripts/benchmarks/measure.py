"""One row: load on one core, the program under measurement on another, its CPU time before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import samples
from peers import HERE, KEY, Peer
from process import Program, busy

LOAD_CORE = 1
PACE = 5.0  # milliseconds between two events of a stream
_WIRE = {"chat": "/v1/chat/completions", "mcp": "/mcp"}
_BODIES = {
    "json": samples.messages(1500),
    "json-60k": samples.messages(60_000),
    "json-400k": samples.messages(400_000),
    "stream": samples.messages(1500, stream=True),
    "chat": samples.chat(1500),
    "mcp": samples.tool_call(),
}
_HEADERS = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01", "accept": "application/json"}
_MCP = {"authorization": f"Bearer {KEY}", "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-06-18"}  # fmt: skip


ANSWERED: Counter[str] = Counter()  # by peer: every request that was answered, whichever row it belongs to


@dataclass(frozen=True, slots=True)
class Row:
    peer: str
    row: str
    connections: int
    n: int
    bad: int
    rate: float  # a second
    cpu_us: float  # a request or stream; 0 where the peer is not ours to measure
    p50: float  # milliseconds; of a stream: to its first byte
    p99: float
    memory: float  # megabytes
    others: float  # cores that other programs used meanwhile

    def line(self) -> str:
        return json.dumps({key: round(value, 3) if isinstance(value, float) else value
                           for key, value in asdict(self).items()})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Where a row's requests go."""

    url: str
    body: Path
    headers: tuple[str, ...]
    stream: bool

    def ask(self) -> bool:
        """One request; true when it is answered as it should be."""
        heads = dict(head.split(":", 1) for head in self.headers)
        request = urllib.request.Request(
            self.url, self.body.read_bytes(), {"content-type": "application/json", **heads}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status == 200 and len(answer.read()) > 100
        except OSError:
            return False


def target(peer: Peer, row: str, base: str, folder: Path) -> Target:
    path = peer.paths.get(row) or _WIRE.get(row, "/v1/messages")
    body = folder / f"{row}.json"
    data = _BODIES[row]
    if peer.name == "tensorzero":
        base = (
            (folder / "tensorzero.url").read_text().split("/openai")[0]
            if (folder / "tensorzero.url").exists()
            else base
        )
        data = data.replace(b'"gpt-4.1"', b'"tensorzero::model_name::gpt-4.1"', 1)
    body.write_bytes(data)
    heads = _MCP if row == "mcp" else _HEADERS
    return Target(
        base + path, body, tuple(f"{name}:{value}" for name, value in heads.items()), row == "stream"
    )


def measure(
    program: Program | None, peer: str, row: str, to: Target, *, connections: int, seconds: float
) -> Row:
    before, ours, all_cores, started = _now(program)
    found = _streams(to, connections, seconds) if to.stream else _requests(to, connections, seconds)
    after, ours_after, all_after, ended = _now(program)
    ANSWERED[peer] += int(found["n"])
    others = ((all_after - all_cores) - (ours_after - ours) - (after - before)) / (ended - started)
    return Row(
        peer, row, connections, found["n"], found["bad"], found["n"] / found["seconds"],
        (after - before) / max(1, found["n"]) * 1e6,
        found["first50"] if to.stream else found["p50"], found["first99"] if to.stream else found["p99"],
        program.memory() if program else 0.0, max(0.0, others),
    )  # fmt: skip


def _now(program: Program | None) -> tuple[float, float, float, float]:
    mine = os.times()
    own = mine.user + mine.system + mine.children_user + mine.children_system + MOCK.cpu()
    return (program.cpu() if program else 0.0), own, busy(), time.monotonic()


class _Mock:
    """The mock upstream's CPU is not other people's; set once it runs."""

    program: Program | None = None

    def cpu(self) -> float:
        return self.program.cpu() if self.program else 0.0


MOCK = _Mock()


def _pinned(*command: str) -> str:
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), *command], capture_output=True, text=True, timeout=180
    )
    if done.returncode:
        raise RuntimeError(f"the load failed: {done.stderr[-1000:]}")
    return done.stdout


def _requests(to: Target, connections: int, seconds: float) -> dict[str, float]:
    out = _pinned("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(HERE / "post.lua"),
                  to.url, "--", str(to.body), *to.headers)  # fmt: skip
    line = next(line for line in out.splitlines() if line.startswith("RESULT "))
    return dict(json.loads(line[7:]))


def _streams(to: Target, connections: int, seconds: float) -> dict[str, float]:
    return clients(to, connections, "--seconds", str(seconds))


def clients(to: Target, connections: int, *options: str) -> dict[str, float]:
    out = _pinned(sys.executable, str(HERE / "load.py"), "--stream", *options,
                  to.url, str(to.body), str(connections), *to.headers)  # fmt: skip
    return dict(json.loads(out))


def leave(to: Target, *, connections: int, requests: int) -> None:
    """Impatient users: streams whose client goes after ten events."""
    clients(to, connections, "--requests", str(requests), "--leave", "10")
