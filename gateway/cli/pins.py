"""`gateway pins`: what is pinned, what waits for an approval, and what changed in it."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from gateway.cli.opening import store_url
from gateway.mcp import pins
from gateway.mcp.pins import Difference
from gateway.stores import open_store
from gateway.stores.protocols import Store

Act = Callable[[argparse.Namespace, Store], Awaitable[int]]


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "pins",
        help="list, compare and approve the definitions of tools",
        description="The definitions of tools: which are pinned, and what waits for an approval. TOOL is server/tool, or a "
        "server for all of its tools.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _action(actions, "list", "what is approved, has changed or is new", _list)
    _action(actions, "diff", "what changed in those that are held back; exit code 1 where one is", _diff)
    approve = _action(actions, "approve", "let those through that are held back, as they are now", _approve)
    approve.add_argument("--all", action="store_true", help="everything that is held back")


def _action(actions: Any, name: str, does: str, act: Act) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=does, description=does)
    parser.add_argument("tool", nargs="*", metavar="TOOL", help="server/tool or server; all without one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration that names the store")
    parser.add_argument("--store", metavar="URL", help="the store itself")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=partial(_run, act))
    return parser


def _run(act: Act, args: argparse.Namespace) -> int:
    return asyncio.run(_with_store(act, args, store_url(args)))


async def _with_store(act: Act, args: argparse.Namespace, url: str) -> int:
    store = open_store(url)
    try:
        return await act(args, store)
    finally:
        await store.close()


async def _waiting(args: argparse.Namespace, store: Store) -> list[Difference]:
    return [each for each in await pins.differences(store) if _chosen(args.tool, each)]


def _chosen(names: Sequence[str], each: Difference) -> bool:
    return not names or each.server in names or pins.key(each.server, each.tool) in names


async def _list(args: argparse.Namespace, store: Store) -> int:
    waiting = {(each.server, each.tool): each for each in await pins.differences(store)}
    rows = [
        {"server": server, "tool": tool, "state": "changed" if (server, tool) in waiting else "approved"}
        for server, tool, _ in await pins.listed(store, pins.PINNED)
    ]
    rows += [
        {"server": each.server, "tool": each.tool, "state": "new"}
        for each in waiting.values()
        if each.pinned is None
    ]
    rows = [
        row
        for row in rows
        if not args.tool or {row["server"], f"{row['server']}/{row['tool']}"} & set(args.tool)
    ]
    if args.json:
        print(orjson.dumps(rows).decode())
    else:
        print(
            "\n".join(f"{row['state']:9} {row['server']}/{row['tool']}" for row in rows)
            or "nothing is pinned"
        )
    return 0


async def _diff(args: argparse.Namespace, store: Store) -> int:
    """Exit code 1 where something is held back."""
    waiting = await _waiting(args, store)
    if args.json:
        found = [
            {"server": each.server, "tool": each.tool, "pinned": each.pinned, "seen": each.seen}
            for each in waiting
        ]
        print(orjson.dumps(found).decode())
    else:
        print("\n".join(line for each in waiting for line in _lines(each)) or "nothing is held back")
    return 1 if waiting else 0


def _lines(each: Difference) -> list[str]:
    name = pins.key(each.server, each.tool)
    before = _shown(each.pinned) if each.pinned is not None else []
    return list(
        difflib.unified_diff(before, _shown(each.seen), f"{name} (approved)", f"{name} (seen)", lineterm="")
    )


def _shown(definition: Mapping[str, Any]) -> list[str]:
    """JSON escapes control and format characters, so that nothing hides in what an operator reads."""
    indented = orjson.dumps(definition, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    return [
        "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in line)
        for line in indented.split("\n")
    ]


async def _approve(args: argparse.Namespace, store: Store) -> int:
    if not args.tool and not args.all:
        print("say what to approve: server/tool, a server, or --all")
        return 2
    waiting = await _waiting(args, store)
    await pins.approve(store, waiting, at=time.time())
    names = [pins.key(each.server, each.tool) for each in waiting]
    print(
        orjson.dumps(names).decode()
        if args.json
        else "\n".join(f"approved  {name}" for name in names) or "nothing is held back"
    )
    return 0 if waiting else 1
