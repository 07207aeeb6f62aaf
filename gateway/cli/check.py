"""`gateway check`: everything that can be known about a file before it serves; `gateway schema`: its shape for editors."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway.cli import account, live
from gateway.config import foreign
from gateway.config.build import build
from gateway.config.load import Broken, Loaded, load
from gateway.config.places import unfit_for_lambda
from gateway.config.resources import Resources
from gateway.config.review import Tried, advice, tried
from gateway.errors import ConfigError


@dataclass(slots=True)
class Report:
    """What was found; the file is good when `problems` is empty and every test passed."""

    file: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tests: list[Tried] = field(default_factory=list)
    live: list[live.Answer] = field(default_factory=list)
    equivalent: str = ""  # our section for another gateway's file

    @property
    def good(self) -> bool:
        return not self.problems and all(t.passed for t in self.tests) and all(a.good for a in self.live)


def add_parser(commands: Any) -> None:
    check: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="validate a file, review its rules, run the tests in it",
        description="Validate a configuration: every problem at once, with its line. Reviews rules that can never matter, "
        "runs the tests in the file, and answers other gateways' files with the section of ours that says the same. "
        "Nothing is contacted without --live or --account, but for secrets of AWS that the file names.",
    )
    check.add_argument("file", type=Path)
    check.add_argument(
        "--live", action="store_true", help="also try each provider, JWKS URL, MCP server and the store"
    )
    check.add_argument(
        "--on", choices=("server", "lambda"), default="server", help="where it is to run; on Lambda less fits"
    )
    check.add_argument(
        "--account",
        action="store_true",
        help="also ask AWS whether tables and rights are there; changes nothing",
    )
    check.add_argument(
        "--role", default="", metavar="ARN", help="with --account: what the gateway will run as"
    )
    check.add_argument("--json", action="store_true", help="the report as JSON")
    check.set_defaults(run=run)
    schema: argparse.ArgumentParser = commands.add_parser(
        "schema",
        help="the file's shape as JSON schema, for editors",
        description="Print the configuration's JSON schema.",
    )
    schema.add_argument("--json", action="store_true", help="it always is")
    schema.set_defaults(run=print_schema)


def run(args: argparse.Namespace) -> int:
    report, loaded = reviewed(args.file, on=args.on)
    if loaded is not None and args.live:
        report.live += asyncio.run(live.answers(loaded))
    if loaded is not None and args.account:
        report.live += account.answers(loaded, role=args.role)
    return told(report, as_json=args.json)


def told(report: Report, *, as_json: bool = False) -> int:
    """Prints it; the exit code."""
    if as_json:
        print(orjson.dumps(asdict(report) | {"good": report.good}).decode())
    else:
        _print(report)
    return 0 if report.good else 1


def reviewed(file: Path, *, on: str) -> tuple[Report, Loaded | None]:
    """What the file alone tells; None where it cannot be used."""
    report = Report(str(file))
    try:
        loaded = load(file)
        report.problems = unfit_for_lambda(loaded) if on == "lambda" else []
        _built(loaded)
    except ConfigError as error:
        report.problems += str(error).splitlines()
        report.equivalent = _equivalent(file) if isinstance(error, Broken) else ""
        return report, None
    report.warnings = advice(loaded)
    report.tests = tried(loaded)
    return report, loaded


def _built(loaded: Loaded) -> None:
    """As the server would, but over a store that leaves nothing behind."""
    dry = Loaded(
        {**loaded.data, "store": "memory:"}, loaded.source, loaded.folder, loaded.lines, loaded.files
    )
    build(dry, Resources(dry=True))


def _equivalent(file: Path) -> str:
    found = foreign.translate(file.read_text(encoding="utf-8", errors="replace"))
    return found.yaml() if found else ""


def _print(report: Report) -> None:
    for line in report.problems:
        print(line, file=sys.stderr)
    if report.equivalent:
        print(
            f"\n{report.file} is written for another gateway. Ours says the same so:\n\n{report.equivalent}"
        )
    for line in report.warnings:
        print(f"warning: {line}")
    for test in report.tests:
        print(f"{'pass' if test.passed else 'FAIL'}  {test.name}" + ("" if test.passed else f": {test.why}"))
    for answer in report.live:
        print(f"{'ok' if answer.good else 'FAIL':4}  {answer.what}: {answer.said}")
    if report.good:
        told = f", {len(report.tests)} tests pass" if report.tests else ""
        print(f"{report.file}: ok{told}" + (f", {len(report.warnings)} warnings" if report.warnings else ""))


def print_schema(args: argparse.Namespace) -> int:
    from gateway.config.shape import json_schema

    print(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())
    return 0
