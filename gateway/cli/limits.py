"""`gateway limits`: who is how near to which limit."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.cli.opening import configuration, store_url
from gateway.cli.usage import printable
from gateway.config.build_policies import keys_of
from gateway.identity import keys
from gateway.limits import demand, standing
from gateway.limits.demand import Rule
from gateway.limits.rules import Budget, Limit
from gateway.middleware.expressions import callable_of
from gateway.stores import open_store

BAR = 20


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "limits",
        help="who is how near to which limit or budget",
        description="Read the buckets in use with the limits of a configuration, the fullest first.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration (default: gateway.yaml)"
    )
    parser.add_argument("--store", metavar="URL", help="another store than the configuration's")
    parser.add_argument(
        "--near", type=float, default=0.0, metavar="PERCENT", help="only those at least so full"
    )
    parser.add_argument("--who", default="", help="only those whose key begins so")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    file = configuration(args)
    rows = asyncio.run(_read(store_url(args), rules_of(file), keys_of(file)))
    rows = [
        row for row in rows if 100 * row["used"] >= args.near * row["of"] and row["who"].startswith(args.who)
    ]
    if args.json:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(map(_line, rows)) or "no limit is in use")
    return 0 if rows else 1


async def _read(url: str, rules: Sequence[Rule], listed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    store = open_store(url)
    try:
        known = [*listed, *await keys.made(store)]
        return await standing.standings(store, rules, now=time.time(), keys=known)
    finally:
        await store.close()


def rules_of(file: Mapping[str, Any]) -> list[Rule]:
    """The rules of every place of a configuration in which limits stand."""
    found: dict[tuple[str, str], Rule] = {}
    for section in _sections(file):
        limits = [Limit(**each) for each in section.get("limits", ())]
        budgets = [
            Budget(**{**each, "warn": tuple(each.get("warn", (75, 95)))})
            for each in section.get("budgets", ())
        ]
        for rule in demand.compiled(limits, budgets, callable_of):
            found[rule.group, rule.name] = rule
    return list(found.values())


def _sections(file: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for place in (file, *file.get("routes", ())):
        section = (place.get("policies") or {}).get("ratelimit")
        if section:
            yield section


def _line(row: Mapping[str, Any]) -> str:
    part = min(1.0, row["used"] / row["of"])
    bar = "█" * round(part * BAR)
    digits = 2 if row["of"] >= 1 else 4
    figures = (
        f"${row['used']:,.{digits}f} of ${row['of']:,.{digits}f}"
        if row["unit"] == "usd"
        else f"{row['used']:,.0f} of {row['of']:,.0f}"
    )
    resets = (
        f"  resets {datetime.datetime.fromtimestamp(row['resets'], datetime.UTC):%Y-%m-%d %H:%M} UTC"
        if row["resets"]
        else ""
    )
    return (
        f"{bar:<{BAR}} {part:4.0%}  {printable(row['who']) or 'everybody'}  {row['limit']}: {figures}{resets}"
    )
