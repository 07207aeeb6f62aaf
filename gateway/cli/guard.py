"""`gateway guard`: try a text against the scanners, and measure the scanners on labelled rows."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import ConfigError
from gateway.guards import evaluate, registry
from gateway.guards.findings import Finding
from gateway.guards.inspection import Inspection
from gateway.guards.memory import Memory
from gateway.guards.rules import Rule
from gateway.guards.strings import Piece


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "guard",
        help="try a text against the scanners, or measure them",
        description=f"Scanners: {', '.join(registry.NAMES)}. All run in this process; nothing is sent anywhere.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    one = actions.add_parser(
        "scan",
        help="what fires in a text, why and where; exit code 1 when something does",
        description="Scan a text as the guard would: each finding with its place, its rule and its score. "
        "Exit code 1 when something fires.",
    )
    one.add_argument("file", help="a file, or - for standard input")
    one.add_argument(
        "--scanner", action="append", default=[], metavar="NAME", help="only this one (may be repeated)"
    )
    one.add_argument(
        "--argument",
        default="",
        metavar="NAME",
        help="read it as a tool's argument of this name: `sql` is parsed as a statement, `command` as a command line",
    )
    one.add_argument("--threshold", type=float, help="instead of the shipped thresholds")
    one.add_argument("--json", action="store_true", help="one JSON list of findings")
    one.set_defaults(
        run=lambda args: scan(
            args.file,
            scanners=args.scanner,
            argument=args.argument,
            threshold=args.threshold,
            as_json=args.json,
        )
    )
    many = actions.add_parser(
        "eval",
        help="recall and false positives on NAME.jsonl files of labelled rows",
        description="Measure the scanners, with their shipped thresholds, on files NAME.jsonl of labelled rows, by source.",
    )
    many.add_argument(
        "folder", type=Path, metavar="DIR", help="rows of {text or text_b64, label, source}, a file a scanner"
    )
    many.add_argument("--json", action="store_true", help="{name: {recall, false_positive_rate}}")
    many.set_defaults(run=lambda args: measure(args.folder, as_json=args.json))


def scan(
    file: str,
    *,
    scanners: list[str],
    argument: str = "",
    threshold: float | None = None,
    as_json: bool = False,
) -> int:
    names = tuple(map(registry.canonical, scanners)) or registry.NAMES
    if wrong := [name for name in names if name not in registry.NAMES]:
        raise ConfigError(f"no scanner is called {wrong[0]}; there are {', '.join(registry.NAMES)}")
    text = _read(file)
    if argument:
        found = _in_argument(argument, text, names, threshold)
    else:
        thresholds = None if threshold is None else dict.fromkeys(names, threshold)
        found = registry.scan(text, names, thresholds=thresholds)
    if as_json:
        print(orjson.dumps([finding.as_json() for finding in found]).decode())
        return 1 if found else 0
    for finding in found:
        line = text.count("\n", 0, finding.start) + 1
        how = f", decoded from {finding.how}" if finding.how else ""
        print(
            f"line {line}, {finding.start}-{finding.end}: {finding.scanner} / {finding.rule} ({finding.score:.2f}{how}): {finding.excerpt}"
        )
    if not found:
        print("nothing fires")
    return 1 if found else 0


def _in_argument(name: str, text: str, names: tuple[str, ...], threshold: float | None) -> list[Finding]:
    inspection = Inspection(
        [Rule(each, scanner=each, threshold=threshold) for each in names], memory=Memory()
    )
    hits = inspection.hits([Piece("arguments", (name,), text)], deadline=math.inf)
    return [hit.finding for hit in hits]


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    return data.decode("utf-8", "replace")


def measure(folder: Path, *, as_json: bool = False) -> int:
    tables = evaluate.evaluate(folder)
    if as_json:
        said = {
            table.name: {"recall": table.sum.recall, "false_positive_rate": table.sum.false_positive_rate}
            for table in tables
        }
        print(orjson.dumps(said).decode())
        return 0
    for table in tables:
        _print(table)
    return 0


def _print(table: evaluate.Table) -> None:
    print(f"{table.name}: recall {table.sum.recall:.1%} of {table.sum.attacks}, "
          f"false positives {table.sum.false_positive_rate:.2%} of {table.sum.honest}")  # fmt: skip
    # Weak spots first.
    attacks = sorted((t.recall, source) for source, t in table.sources.items() if t.attacks)
    for recall, source in attacks:
        apart = "  (apart: in no sum)" if source.startswith(evaluate.APART) else ""
        print(f"  {recall:7.1%} of {table.sources[source].attacks:4} attacks   {source}{apart}")
    for source, tally in sorted(table.sources.items(), key=lambda item: -item[1].false_positive_rate):
        if tally.flagged:
            print(f"  {tally.false_positive_rate:7.1%} of {tally.honest:4} honest    {source}")
