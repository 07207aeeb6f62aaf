"""`gateway keys create|list|revoke`: virtual keys. A key is shown when it is made, and never again."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.cli import lifetime
from gateway.cli.opening import store_url
from gateway.errors import ConfigError
from gateway.identity import keys
from gateway.stores import open_store
from gateway.stores.protocols import Store

PERIODS = ("day", "week", "month")
PAGE = 1000


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "keys",
        help="make, list and revoke virtual keys",
        description="Virtual keys. Clients send one as Authorization: Bearer, x-api-key or x-goog-api-key. Only a hash is kept.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = _action(actions, "create", "make a key, and show it this once", _create)
    create.add_argument("--owner", required=True, help="whose key it is: a person, a team, a program")
    create.add_argument("--groups", nargs="+", default=[], metavar="GROUP", help="principal.groups")
    create.add_argument(
        "--models", nargs="+", default=[], metavar="PATTERN", help="only these: claude-* gpt-6"
    )
    create.add_argument(
        "--scopes", nargs="+", default=[], metavar="SCOPE", help="OAuth scopes that it stands for"
    )
    create.add_argument(
        "--agent", default="", help="the agent that uses it, for attribution and agents: sections"
    )
    create.add_argument("--expires", metavar="WHEN", help="30d, or a date (default: never)")
    create.add_argument(
        "--limits",
        nargs="+",
        default=[],
        metavar="LIMIT",
        help="the key's own: requests=120/60s tokens=10000/1h usd=50/month",
    )
    _action(actions, "list", "the keys, without their secrets", _list)
    revoke = _action(actions, "revoke", "end a key, and the calls that it runs, within a second", _revoke)
    revoke.add_argument("id", help="the key's id (gwk_ID_…), or the key itself")
    revoke.add_argument("--reason", default="revoked")


def _action(actions: Any, name: str, does: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=does, description=does)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration that names the store")
    parser.add_argument("--store", metavar="URL", help="the store itself")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)
    return parser


def _create(args: argparse.Namespace) -> int:
    now = time.time()
    key = keys.make(
        owner=args.owner,
        groups=args.groups,
        models=args.models,
        scopes=args.scopes,
        agent=args.agent,
        limits=[limit(text) for text in args.limits],
        expires=lifetime.end(args.expires, now) if args.expires else None,
        at=now,
    )

    async def add(store: Store) -> None:
        await keys.add(store, key)

    asyncio.run(_with(store_url(args), add))
    if args.json:
        print(orjson.dumps({"key": key.text, **_facts(key.document)}).decode())
    else:
        print(key.text)
    return 0


def limit(text: str) -> Mapping[str, Any]:
    """`requests=120/60s` as the configuration would say it."""
    found = re.fullmatch(r"(requests|tokens|usd)=(\d+(?:\.\d+)?)/(\w+)", text)
    if found is None or ((found[1] == "usd") is not (found[3] in PERIODS)):
        raise ConfigError(f"{text!r} is no limit; write requests=120/60s, tokens=10000/1h or usd=50/month (day, week, month)")  # fmt: skip
    per: str | float = found[3] if found[1] == "usd" else lifetime.seconds(found[3])
    return {found[1]: float(found[2]), "per": per}


def _list(args: argparse.Namespace) -> int:
    found: list[Mapping[str, Any]] = []

    async def read(store: Store) -> None:
        after = ""
        while page := await store.list(keys.DOCUMENTS, after=after, limit=PAGE):
            found.extend(_facts(item.value) for _, item in page)
            after = page[-1][0]

    asyncio.run(_with(store_url(args), read))
    if args.json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(_line(key) for key in found) or "there are no keys")
    return 0 if found else 1


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    state = "revoked" if document.get("revoked") else "expired" if _over(document) else "good"
    return {**{name: value for name, value in document.items() if name != "hash"}, "state": state}


def _over(document: Mapping[str, Any]) -> bool:
    return document.get("expires") is not None and document["expires"] <= time.time()


def _line(key: Mapping[str, Any]) -> str:
    for_models = ",".join(key["models"]) or "every model"
    groups = f" ({', '.join(key['groups'])})" if key["groups"] else ""
    owner = "".join(character if character.isprintable() else "?" for character in key["owner"])
    return f"{key['id']}  {key['state']:7}  {owner}{groups}  {for_models}  made {lifetime.shown(key['created'])}  expires {lifetime.shown(key['expires'])}"  # fmt: skip


def _revoke(args: argparse.Namespace) -> int:
    key_id = _id(args.id)
    done: list[bool] = []

    async def end(store: Store) -> None:
        done.append(await keys.revoke(store, key_id, at=time.time(), reason=args.reason))

    asyncio.run(_with(store_url(args), end))
    if args.json:
        print(orjson.dumps({"id": key_id, "revoked": done[0]}).decode())
    else:
        print(f"{key_id} is revoked" if done[0] else f"there is no key {key_id}")
    return 0 if done[0] else 1


def _id(text: str) -> str:
    return text.split("_")[1] if text.startswith("gwk_") and text.count("_") >= 1 else text


async def _with(url: str, act: Any) -> None:
    store = open_store(url)
    try:
        await act(store)
    finally:
        await store.close()
