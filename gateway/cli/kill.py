"""`gateway kill` and `gateway restore`: switch something off everywhere within a second, and on again."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import orjson

from gateway.cli import lifetime
from gateway.cli.opening import store_url
from gateway.errors import ConfigError
from gateway.policy import switches
from gateway.policy.switches import KINDS, Kind, Switch
from gateway.stores import open_store


def add_parser(commands: Any) -> None:
    kill: argparse.ArgumentParser = commands.add_parser(
        "kill",
        help="switch a user, key, model, tool, server or route off, everywhere within a second",
        description="Stop new calls and running streams of one user, key, model, tool, server or route, on every instance "
        "that shares the store, within a second.",
    )
    _named(kill, required=False)
    kill.add_argument("--reason", default="", help="shown to those who are stopped")
    kill.add_argument(
        "--for", dest="lasting", metavar="TIME", help="30m, 2h, or a date; until restored otherwise"
    )
    kill.add_argument("--list", action="store_true", help="what is off, since when and why")
    _store(kill)
    kill.set_defaults(run=run_kill)
    restore: argparse.ArgumentParser = commands.add_parser(
        "restore", help="switch it on again", description="Undo `gateway kill`."
    )
    _named(restore, required=True)
    _store(restore)
    restore.set_defaults(run=run_restore)


def _named(parser: argparse.ArgumentParser, *, required: bool) -> None:
    which = parser.add_mutually_exclusive_group(required=required)
    for kind in KINDS:
        which.add_argument(f"--{kind}", metavar="NAME")


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration that names the store")
    parser.add_argument("--store", metavar="URL", help="the store itself")
    parser.add_argument("--json", action="store_true")


def _which(args: argparse.Namespace) -> tuple[Kind, str] | None:
    return next(((kind, getattr(args, kind)) for kind in KINDS if getattr(args, kind)), None)


def run_kill(args: argparse.Namespace) -> int:
    named = _which(args)
    if args.list:
        return asyncio.run(_list(args))
    if named is None:
        raise ConfigError(
            "say what to switch off: --user, --key, --model, --tool, --server or --route NAME; or --list"
        )
    now = time.time()
    until = lifetime.end(args.lasting, now) if args.lasting else None
    switch = Switch(named[0], named[1], args.reason, until, now)
    asyncio.run(_throw(store_url(args), switch))
    lasts = f" until {lifetime.shown(until)}" if until is not None else ""
    print(
        orjson.dumps(switch.document()).decode()
        if args.json
        else f"{switch.kind} {switch.name} is off{lasts}"
    )
    return 0


async def _throw(url: str, switch: Switch) -> None:
    store = open_store(url)
    try:
        await switches.throw(store, switch)
    finally:
        await store.close()


async def _list(args: argparse.Namespace) -> int:
    store = open_store(store_url(args))
    try:
        off = await switches.thrown(store)
    finally:
        await store.close()
    if args.json:
        print(orjson.dumps([switch.document() for switch in off], option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(_line(switch) for switch in off) or "nothing is switched off")
    return 0 if off else 1


def _line(switch: Switch) -> str:
    reason = "".join(character if character.isprintable() else "?" for character in switch.reason)
    until = f"until {lifetime.shown(switch.until)}" if switch.until is not None else "until restored"
    return f"{switch.kind} {switch.name}  since {lifetime.shown(switch.since)}  {until}  {reason}".rstrip()


def run_restore(args: argparse.Namespace) -> int:
    named = _which(args)
    assert named is not None
    done = asyncio.run(_restore(store_url(args), *named))
    if args.json:
        print(orjson.dumps({"kind": named[0], "name": named[1], "restored": done}).decode())
    else:
        print(f"{named[0]} {named[1]} is on again" if done else f"{named[0]} {named[1]} was not off")
    return 0 if done else 1


async def _restore(url: str, kind: Kind, name: str) -> bool:
    store = open_store(url)
    try:
        return await switches.restore(store, kind, name)
    finally:
        await store.close()
