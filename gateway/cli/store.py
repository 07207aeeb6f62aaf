"""`gateway store init|check`: make the store ready, and say whether it is."""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from gateway.cli.opening import store_url
from gateway.errors import ConfigError, StoreError


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "store",
        help="make the store ready, or check that it is",
        description="`init` makes what the store needs (the DynamoDB table, the SQLite file) and changes nothing that stands; "
        "`check` says what is wrong with it.",
    )
    parser.add_argument("action", choices=("init", "check"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration that names the store")
    parser.add_argument("--store", metavar="URL", help="the store itself")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    url = store_url(args, memory=True)
    made, wrong = _init(url) if args.action == "init" else (False, _check(url))
    if args.json:
        print(orjson.dumps({"store": url, "made": made, "problems": wrong}).decode())
    else:
        state = "made" if made else "ready"
        print("\n".join(wrong) if wrong else f"{url}: {state}")
    return 1 if wrong else 0


def _init(url: str) -> tuple[bool, list[str]]:
    if url.startswith("dynamodb:"):
        from gateway.stores.dynamodb import table

        dynamodb, name = _dynamodb(url)
        return table.create(dynamodb, name), table.problems(dynamodb, name)
    path = _file(url)
    if path is None:
        return False, []
    made = not path.exists()
    from gateway.stores import schema

    try:
        with sqlite3.connect(path, isolation_level=None) as connection:
            schema.create(connection)
        connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"cannot make {path}: {error}") from error
    return made, _check(url)


def _check(url: str) -> list[str]:
    if url.startswith("dynamodb:"):
        from gateway.stores.dynamodb import table

        return table.problems(*_dynamodb(url))
    path = _file(url)
    if path is None:
        return []
    if not path.exists():
        return [f"there is no file {path}: gateway store init makes it"]
    from gateway.stores import schema

    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
    except sqlite3.Error as error:
        return [f"{path}: {error}"]
    return problems + (
        [] if version == schema.VERSION else [f"{path} has schema {version}, not {schema.VERSION}"]
    )


def _file(url: str) -> Path | None:
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///").partition("?")[0])
    if url.startswith("memory:"):
        return None
    raise ConfigError(
        f"{url!r} names no store; write memory:, sqlite:///PATH or dynamodb://TABLE?region=REGION"
    )


def _dynamodb(url: str) -> tuple[Any, str]:
    from gateway.stores.dynamodb import place, table

    parts = urlsplit(url)
    region, endpoint = place(dict(parse_qsl(parts.query)))
    return table.connect(region, endpoint), parts.netloc
