"""Measure the gateway beside its peers, one row after the other, on one core each.

Every row is best of its repeats: CPU time is what moves least on a shared machine. The gateway's rows fail when it wrote
fewer records or log lines than it answered requests: work that is not done is not fast.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import report
from measure import LOAD_CORE, MOCK, PACE, Row, Target
from peers import HERE, INSTALLED, PEERS, Peer, Place, path_with
from process import Program, free_port

GATEWAY_CORE = 0


def main() -> int:
    options = _options()
    absent = [tool for tool in ("taskset", "wrk") if shutil.which(tool) is None]
    if absent:
        print(f"missing: {', '.join(absent)} (apt-get install util-linux wrk)", file=sys.stderr)
        return 2
    chosen = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    if options.install:
        for peer in chosen:
            if peer.wants and peer.missing():
                print(f"installing {peer.name} into .bench/", file=sys.stderr)
                peer.install()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows, absences, problems = _all(chosen, options, Path(folder))
    print(report.table(rows, absences, problems))
    if not options.rows or "guard" in options.rows:
        print(report.guards(_guards()))
    if options.json:
        print(json.dumps(report.summary(rows)))
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--peers", type=lambda text: text.split(";"), help="names, divided by semicolons")
    parser.add_argument(
        "--rows",
        type=lambda text: text.split(","),
        help="json, json-60k, json-400k, stream, mcp, chat, guard",
    )
    parser.add_argument("--install", action="store_true", help="install missing peers into .bench/")
    parser.add_argument(
        "--soak", action="store_true", help="also 200,000 requests and 2,000 cancelled streams: memory"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON line of ratios")
    return parser.parse_args()


def _all(
    chosen: list[Peer], options: argparse.Namespace, folder: Path
) -> tuple[list[Row], dict[str, str], list[str]]:
    rows: list[Row] = []
    absences: dict[str, str] = {}
    problems: list[str] = []
    upstream = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, str(HERE / "mock.py"), upstream.rsplit(":", 1)[1], str(PACE)]
    with Program(command, core=LOAD_CORE, log=folder / "mock.log") as mock:
        MOCK.program = mock
        rows += _direct(upstream, options, folder)
        for peer in chosen:
            if reason := peer.missing():
                absences[peer.name] = reason
                continue
            try:
                rows += _peer(peer, upstream, options, folder, problems)
            except (RuntimeError, OSError) as error:
                absences[peer.name] = str(error)
    return rows, absences, problems


def _direct(upstream: str, options: argparse.Namespace, folder: Path) -> list[Row]:
    peer = Peer("direct", lambda place: [], ("json", "stream", "mcp"))
    found = []
    for row in _wanted(peer, options):
        to = measure.target(peer, row, upstream, folder)
        while not to.ask():
            time.sleep(0.05)
        found += [measure.measure(None, "direct", row, to, connections=count, seconds=options.seconds)
                  for count in (1, options.connections)]  # fmt: skip
    return found


def _guards() -> dict[str, float]:
    """What the scanners take, in a process of their own."""
    command = [sys.executable, str(HERE.parent / "bench_guards"), "--json"]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _wanted(peer: Peer, options: argparse.Namespace) -> list[str]:
    return [row for row in peer.rows if not options.rows or row in options.rows]


def _peer(
    peer: Peer, upstream: str, options: argparse.Namespace, folder: Path, problems: list[str]
) -> list[Row]:
    rows = _wanted(peer, options)
    if not rows:
        return []
    home = folder / peer.name.replace(" ", "_")
    home.mkdir()
    place = Place(free_port(), upstream, home)
    env = {**peer.env, **path_with(peer.name)}
    log = home / "log"
    found: list[Row] = []
    with Program(peer.command(place), core=GATEWAY_CORE, log=log, env=env, cwd=home) as program:
        base = f"http://127.0.0.1:{place.port}"
        took = program.ready(lambda: measure.target(peer, rows[0], base, home).ask())
        print(f"{peer.name}: ready after {took:.1f} s", file=sys.stderr)
        for row in rows:
            found += _row(peer, row, measure.target(peer, row, base, home), program, options)
        if options.soak and peer.records:
            problems += _soak(peer, base, home, program, options)
    if peer.records:
        problems += _accounted(home, measure.ANSWERED[peer.name])
    return [max(each, key=lambda row: -row.cpu_us) for each in _grouped(found)]


def _row(peer: Peer, row: str, to: Target, program: Program, options: argparse.Namespace) -> list[Row]:
    if not to.ask():
        raise RuntimeError(f"{peer.name} does not answer {row} as it should")
    counts = (1, options.connections, *((64,) if row == "stream" else ()))
    measure.measure(
        program, peer.name, row, to, connections=options.connections, seconds=min(1.0, options.seconds)
    )
    found = []
    for _ in range(options.repeats):
        for count in counts:
            one = measure.measure(program, peer.name, row, to, connections=count, seconds=options.seconds)
            print(one.line(), file=sys.stderr, flush=True)
            found.append(one)
    return found


def _grouped(rows: list[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.row, row.connections), []).append(row)
    return list(groups.values())


def _accounted(home: Path, requests: int) -> list[str]:
    """The process has ended: all that it owed must be written."""
    with sqlite3.connect(home / "bench.db") as database:
        (records,) = database.execute("SELECT COUNT(*) FROM records").fetchone()
    with (home / "log").open("rb") as log:
        lines = sum(line.startswith(b"{") for line in log)
    print(f"{requests} requests answered, {records} records, {lines} log lines", file=sys.stderr)
    return [f"{what}: {count} for {requests} requests" for what, count in (("records", records), ("log lines", lines))
            if count < requests]  # fmt: skip


def _soak(peer: Peer, base: str, home: Path, program: Program, options: argparse.Namespace) -> list[str]:
    """Memory after a long time: 200,000 requests, and 2,000 streams whose clients left."""
    plain, streams = (measure.target(peer, row, base, home) for row in ("json", "stream"))
    seen = [program.memory()]
    for _ in range(4):
        measure.leave(streams, connections=50, requests=500)
        sent = 0
        while sent < 50_000:
            sent += measure.measure(program, peer.name, "json", plain, connections=16, seconds=5).n
        seen.append(program.memory())
        print(f"memory: {seen[-1]:.1f} MB", file=sys.stderr, flush=True)
    grown = seen[-1] - seen[1]
    return [f"memory grew by {grown:.1f} MB over the last three quarters of the soak"] if grown > 8 else []


if __name__ == "__main__":
    INSTALLED.mkdir(exist_ok=True)
    sys.exit(main())
