"""`gateway audit`: read it, follow it, prove it whole, and ask what another configuration would have said."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import ConfigError
from gateway.telemetry import chain, sinks

Line = Mapping[str, Any]


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "audit",
        help="read the audit, prove it whole, or replay it against other policies",
        description="Show the audit's lines; `verify` proves that none was changed or removed; `replay` says which past "
        "calls the policies of --config would decide otherwise.",
    )
    parser.add_argument("action", nargs="?", choices=("show", "verify", "replay"), default="show")
    parser.add_argument("--file", type=Path, help="the audit (the configuration's telemetry.audit.file)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration, or the one to replay against"
    )
    parser.add_argument("--follow", action="store_true", help="go on showing lines as they are written")
    for name in ("user", "tool", "server", "model", "session", "agent"):
        parser.add_argument(f"--{name}", help=f"only of this {name}")
    parser.add_argument("--denied", action="store_true", help="only what was refused")
    parser.add_argument(
        "--would-refuse", action="store_true", help="only what a policy that observes would have refused"
    )
    parser.add_argument(
        "--last", metavar="HASH", help="verify: a hash that must be there, as seen earlier at the end"
    )
    parser.add_argument("--key-env", metavar="NAME", help="verify: the variable that holds the audit's key")
    parser.add_argument("--json", action="store_true", help="one JSON line for each line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    file = args.file or _configured(args.config)
    if not sinks.files(file):
        raise ConfigError(f"{file}: there is no audit")
    if args.action == "verify":
        return _verify(args, file)
    if args.action == "replay":
        return _replay(args, file)
    return _show(args, file)


def _configured(config: Path | None) -> Path:
    if config is None:
        raise ConfigError("say where the audit is: --file audit.jsonl, or --config gateway.yaml")
    name: str = _section(config).get("file", "-")
    if name == "-":
        raise ConfigError(f"{config}: telemetry.audit.file names no file; say --file")
    return config.parent / name


def _section(config: Path) -> Mapping[str, Any]:
    from gateway.config.load import load

    telemetry = load(config, secrets=False).data.get("telemetry") or {}
    return telemetry.get("audit") or {}


def _show(args: argparse.Namespace, file: Path) -> int:
    shown = 0
    for line in followed(file) if args.follow else _entries(file):
        if _wanted(line, args):
            shown += 1
            print(orjson.dumps(line).decode() if args.json else _told(line), flush=args.follow)
    return 0 if shown else 1


def _entries(file: Path) -> Iterator[Line]:
    for place, line in sinks.lines(file):
        yield _parsed(place, line)


def _parsed(place: str, line: bytes) -> Line:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{place}: not a line of the audit")
    return found


def followed(file: Path, *, wait: Callable[[float], None] = time.sleep) -> Iterator[Line]:
    """Those that stand, and then each that is written, also into the file that follows a full one."""
    yield from _entries(file)
    stream, rest = file.open("rb"), b""
    stream.seek(0, os.SEEK_END)
    try:
        while True:
            chunk = stream.read()
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield _parsed(file.name, line)
            if not chunk:
                if file.exists() and file.stat().st_ino != os.fstat(stream.fileno()).st_ino:
                    stream.close()
                    stream, rest = file.open("rb"), b""
                wait(0.2)
    finally:
        stream.close()


def _wanted(line: Line, args: argparse.Namespace) -> bool:
    for name in ("user", "tool", "server", "model", "session", "agent"):
        wanted = getattr(args, name)
        if wanted and wanted not in (line.get(name), line.get("exposed") if name == "tool" else None):
            return False
    if args.denied and line.get("outcome") != "refused":
        return False
    said = [verdict.get("action") for verdict in line.get("verdicts", ())]
    return not args.would_refuse or "would_refuse" in said


def _told(line: Line) -> str:
    """For a terminal. Values were made harmless when they were written; what JSON escaped stays escaped."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.get("at", 0)))
    if line.get("event") == "admin":
        return _plain(f"{when}  admin     {line.get('action')} {line.get('target')} {line.get('reason', '')}")
    what = (
        f"{line.get('server')}/{line['tool']}"
        if line.get("tool")
        else line.get("model") or line.get("method", "")
    )
    why = (
        f"  {line.get('policy', '')}: {line.get('rule') or line.get('reason', '')}"
        if line.get("policy")
        else ""
    )
    noted = [f"{v['policy']}:{v['action']}:{v.get('rule', '')}" for v in line.get("verdicts", ())
             if v["action"] not in ("allow", "refuse")]  # fmt: skip
    outcome, user = line.get("outcome", line.get("event", "")), line.get("user") or line.get("principal", "")
    return _plain(
        f"{when}  {outcome:<14} {user}  {what}{why}{'  [' + ', '.join(noted) + ']' if noted else ''}"
    )


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _verify(args: argparse.Namespace, file: Path) -> int:
    key = os.environ.get(args.key_env, "").encode() if args.key_env else b""
    if not key and args.config and "key" in _section(args.config):
        raise ConfigError(
            "the lines of this audit are keyed: name the variable that holds the key with --key-env"
        )
    found = chain.verify(sinks.lines(file), key=key, last=args.last or "")
    if args.json:
        print(orjson.dumps({"lines": found.lines, "last": found.last, "problems": found.problems}).decode())
        return 1 if found.problems else 0
    for problem in found.problems:
        print(problem)
    print(f"{found.lines} lines, {len(found.problems) or 'no'} problems; the last hash is {found.last}")
    return 1 if found.problems else 0


def _replay(args: argparse.Namespace, file: Path) -> int:
    """Exit 1 where anything would change or cannot be told."""
    from gateway.admin.replay import NOT_REPLAYED, replay
    from gateway.config.build_replay import replayed
    from gateway.config.load import load

    if args.config is None:
        raise ConfigError("say which policies to replay against: --config new.yaml")
    lines = (line for line in _entries(file) if _wanted(line, args))
    counts: Counter[str] = Counter()
    for found in replay(lines, replayed(load(args.config, secrets=False))):
        counts[found.now if found.changed else "as before"] += 1
        if found.changed:
            told = {"call": found.line.get("call"), "then": found.then, "now": found.now, "rule": found.rule, "unknown": found.lost}  # fmt: skip
            text = f"{found.then} → {found.now:<11} {_plain(found.rule)}  {_told(found.line)}"
            lost = f"  (unknown: {', '.join(found.lost)})" if found.lost else ""
            print(orjson.dumps({**told, "line": found.line}).decode() if args.json else text + lost)
    summary = {"as before": counts["as before"], "would be refused": counts["refused"],
               "would be allowed": counts["allowed"], "undecidable": counts["undecidable"]}  # fmt: skip
    if args.json:
        print(orjson.dumps({**summary, "not replayed": NOT_REPLAYED}).decode())
    else:
        print(", ".join(f"{n} {what}" for what, n in summary.items()))
        print(f"Decided again by rules and by what servers allow; not replayed: {', '.join(NOT_REPLAYED)}.")
    return 1 if sum(counts.values()) > counts["as before"] else 0
