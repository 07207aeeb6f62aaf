"""`gateway usage`: what was used, by whom and for how much, as a table, bars, JSON or CSV."""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.cli.opening import store_url
from gateway.errors import ConfigError
from gateway.metering import prices
from gateway.stores import open_store
from gateway.stores.protocols import GROUPS, Total

BAR = 40
FIGURES = ("calls", "refused", "failed", "input", "output", "cache_read", "cache_write", "reasoning", "usd", "estimated",
           "unpriced")  # fmt: skip
_SHOWN = ("calls", "refused", "input", "output", "cache_read", "cache_write", "reasoning", "usd")
_SPANS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "usage",
        help="calls, tokens, dollars and refusals by user, model, tool, day …",
        description="Add up the ledger. Groups and filters: " + ", ".join(GROUPS) + ", team, label.NAME.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration that names the store")
    parser.add_argument("--store", metavar="URL", help="the store itself")
    parser.add_argument(
        "--by", default="user", metavar="GROUP,…", help="groups (default: user; '' for one line)"
    )
    parser.add_argument(
        "--since", default="7d", metavar="TIME", help="30m, 12h, 7d, 4w, or a date (default: 7d)"
    )
    parser.add_argument("--until", default="", metavar="TIME", help="likewise (default: now)")
    parser.add_argument(
        "--where", action="append", default=[], metavar="GROUP=VALUE", help="only these; may be repeated"
    )
    parser.add_argument("--bars", metavar="FIGURE", nargs="?", const="usd", choices=(*FIGURES, "tokens"),
                        help="bars of one figure (default: usd)")  # fmt: skip
    parser.add_argument("--csv", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    by = [name for name in args.by.split(",") if name]
    now = time.time()
    since, until = moment(args.since, now), moment(args.until, now) if args.until else now + 1
    totals = asyncio.run(_read(store_url(args), since, until, by, _filters(args.where)))
    _print(args, by, totals)
    return 0 if totals else 1


async def _read(
    url: str, since: float, until: float, by: Sequence[str], where: dict[str, str]
) -> Sequence[Total]:
    store = open_store(url)
    try:
        return await store.usage(since=since, until=until, by=by, where=where)
    finally:
        await store.close()


def _print(args: argparse.Namespace, by: Sequence[str], totals: Sequence[Total]) -> None:
    if args.json:
        print(orjson.dumps([_flat(by, total) for total in totals], option=orjson.OPT_INDENT_2).decode())
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, [*by, *FIGURES], lineterminator="\n")
        writer.writeheader()
        writer.writerows(_flat(by, total) for total in totals)
    elif args.bars:
        print("\n".join(bars(totals, args.bars)) or "nothing was used")
    else:
        print("\n".join(table(by, totals)) or "nothing was used")


def _flat(by: Sequence[str], total: Total) -> dict[str, Any]:
    return {**dict(zip(by, total.group, strict=True)), **{name: getattr(total, name) for name in FIGURES}}


def table(by: Sequence[str], totals: Sequence[Total]) -> list[str]:
    """Aligned columns, a line for everything below, and what of it was not exact."""
    if not totals:
        return []
    whole = [sum(getattr(total, name) for total in totals) for name in _SHOWN]
    head = [*by, *(name.replace("_", " ") for name in _SHOWN)]
    rows = [[*_group(total), *map(_figure, _SHOWN, (getattr(total, n) for n in _SHOWN))] for total in totals]
    last = [*("all" if not index else "" for index in range(len(by))), *map(_figure, _SHOWN, whole)]
    lines = _aligned([head, *rows, *([last] if by and len(rows) > 1 else [])], left=len(by))
    estimated, unpriced = (sum(getattr(t, name) for t in totals) for name in ("estimated", "unpriced"))
    notes = (
        [f"{estimated} calls are estimated: the provider did not say, or was not believed"]
        if estimated
        else []
    )
    notes += [f"{unpriced} calls have no price and were charged at the ceiling"] if unpriced else []
    return [*lines, "", *notes, f"prices: {prices.dated()}"]


def bars(totals: Sequence[Total], figure: str) -> list[str]:
    pairs = [(" / ".join(_group(total)) or "all", float(getattr(total, figure))) for total in totals]
    pairs = sorted(((name, value) for name, value in pairs if value), key=lambda pair: -pair[1])
    if not pairs:
        return []
    widest, most = max(len(name) for name, _ in pairs), pairs[0][1]
    return [
        f"{name:<{widest}}  {'█' * max(1, round(value / most * BAR)):<{BAR}}  {_figure(figure, value)}"
        for name, value in pairs
    ]


def _group(total: Total) -> list[str]:
    return [printable(value) or "(none)" for value in total.group]


def printable(text: str) -> str:
    """Without what would move the terminal's cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _figure(name: str, value: float) -> str:
    return f"${value:,.4f}" if name == "usd" else f"{int(value):,}"


def _aligned(rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    align: list[Callable[[str, int], str]] = [
        str.ljust if index < left else str.rjust for index in range(len(widths))
    ]
    return [
        "  ".join(fit(cell, width) for fit, cell, width in zip(align, row, widths, strict=True)).rstrip()
        for row in rows
    ]


def moment(text: str, now: float) -> float:
    """`7d` ago, or a date."""
    if found := re.fullmatch(r"(\d+)([mhdw])", text):
        return now - int(found[1]) * _SPANS[found[2]]
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time: write 30m, 12h, 7d, 4w, or a date such as 2026-11-20"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def _filters(given: Sequence[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise ConfigError(f"--where {text}: write GROUP=VALUE")
    return dict(text.split("=", 1) for text in given)
