"""`gateway usage`, `gateway limits` and `gateway store`."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import time
from pathlib import Path

import pytest

from gateway.cli import limits, store, usage
from gateway.identity import keys
from gateway.limits import demand, spend
from gateway.limits.bucket import Take
from gateway.limits.rules import period
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores import open_store

CONFIG = """
store: sqlite:///{path}
policies:
  ratelimit:
    limits: [{{requests: 100, per: 60s, key: principal.id, name: calls}}]
    budgets: [{{usd: 20, per: day, key: principal.id, name: daily}}]
routes:
  - path: /
    llm: {{providers: {{demo: {{}}}}, models: [{{match: "*", to: demo}}]}}
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'gateway.db'}"
    asyncio.run(fill(found))
    return found


async def fill(url: str) -> None:
    opened, now = open_store(url), time.time()
    for number, (user, usd) in enumerate([("ann", 2.0), ("ann", 1.0), ("bob\x1b[31m", 0.5)]):
        tokens = Usage(1000, 200, 50, 10, estimated=number == 2)
        await opened.append(
            [
                Record(
                    f"r{number}",
                    "c",
                    now,
                    "llm",
                    "messages",
                    "/",
                    "ok",
                    user=user,
                    model="m",
                    usage=tokens,
                    usd=usd,
                )
            ]
        )
    await opened.append([Record("r9", "c", now, "llm", "messages", "/", "refused", user="ann", model="m")])
    await opened.take("principal.id=key:ann", [Take("daily", 0.0, 20.0, 16.0, since=period("day", now)[0]),
                                               Take("calls", 100 / 60, 100.0, 1)])  # fmt: skip
    await opened.close()


def run(module: object, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_parser(parser.add_subparsers())  # type: ignore[attr-defined]
    args = parser.parse_args([module.__name__.rpartition(".")[2], *words])  # type: ignore[attr-defined]
    return int(args.run(args))


def test_usage_is_a_table_with_its_sum(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(usage, "--store", url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "user",
        "calls",
        "refused",
        "input",
        "output",
        "cache",
        "read",
        "cache",
        "write",
        "reasoning",
        "usd",
    ]
    assert lines[1].split() == ["ann", "3", "1", "2,000", "400", "100", "20", "0", "$3.0000"]
    assert lines[2].startswith("bob\N{REPLACEMENT CHARACTER}[31m")
    assert lines[3].split()[0] == "all"
    assert "1 calls are estimated" in lines[5]
    assert "genai-prices" in lines[-1]


def test_usage_is_json_csv_and_bars(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(usage, "--store", url, "--by", "user,model", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["user"][:3], row["model"], row["calls"], row["usd"]) for row in rows] == [
        ("ann", "m", 3, 3.0),
        ("bob", "m", 1, 0.5),
    ]
    run(usage, "--store", url, "--by", "model", "--csv")
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["model"], row["calls"], row["input"], row["estimated"]) == ("m", "4", "3000", "1")
    run(usage, "--store", url, "--bars")
    bars = capsys.readouterr().out.splitlines()
    assert [line.count("█") for line in bars] == [40, 7]


def test_usage_filters_and_says_by_its_exit_code_that_nothing_matched(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(usage, "--store", url, "--where", "outcome=refused", "--by", "", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["refused"] == 1
    assert run(usage, "--store", url, "--where", "user=nobody") == 1
    assert run(usage, "--store", url, "--until", "2001-01-01", "--since", "2000-01-01") == 1


def test_limits_show_who_is_near(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(path=tmp_path / "gateway.db"))
    assert run(limits, "--config", str(config), "--near", "75") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "80%  key:ann  daily: $16.00 of $20.00  resets" in line
    run(limits, "--config", str(config), "--json")
    first, second = json.loads(capsys.readouterr().out)
    assert (first["limit"], first["used"], first["of"], first["unit"]) == ("daily", 16.0, 20.0, "usd")
    assert (second["limit"], second["of"], second["resets"]) == ("calls", 100.0, None)


async def govern(url: str) -> None:
    """A key with limits of its own, in the store, and spend limits: one user's, and the organisation's for all others."""
    opened, now = open_store(url), time.time()
    key = keys.make(owner="bob", limits=[{"requests": 4, "per": 60}], at=now)
    await keys.add(opened, key)
    limits_of = {"user_id": "ann", "type": "user"}, {"type": "organization"}
    for scope, cents in zip(limits_of, ("2000", "50000"), strict=True):
        limit = {"scope": scope, "period": "daily", "amount": cents}
        await opened.put(spend.KIND, str(scope), limit)
    (own,) = demand.own(key.document["limits"])
    await opened.take(f"principal.id=key:{key.id}", [Take(own.name, own.rate, own.burst, 3)])
    for user in ("ann", "bob"):
        name, since = "the daily spend limit", period("day", now)[0]
        await opened.take(f"user={user}", [Take(name, 0.0, 500.0, 10.0, since=since)])
    await opened.close()


def test_limits_of_keys_and_of_administrators_are_shown_too(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(govern(url))
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(path=tmp_path / "gateway.db"))
    run(limits, "--config", str(config), "--json")
    rows = {
        (row["limit"], row["who"]): (row["used"], row["of"]) for row in json.loads(capsys.readouterr().out)
    }
    assert rows["the daily spend limit", "ann"] == (10.0, 20.0)
    assert rows["the daily spend limit", "bob"] == (10.0, 500.0)
    (own,) = (figures for (limit, _), figures in rows.items() if "own" in limit)
    assert own == (pytest.approx(3, abs=0.5), 4.0)


def test_the_store_is_made_once_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.db"
    url = f"sqlite:///{path}"
    assert run(store, "check", "--store", url) == 1
    assert "gateway store init makes it" in capsys.readouterr().out
    assert run(store, "init", "--store", url, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"store": url, "made": True, "problems": []}
    assert run(store, "init", "--store", url, "--json") == 0
    assert json.loads(capsys.readouterr().out)["made"] is False
    assert run(store, "check", "--store", url) == 0
    path.write_bytes(b"this is no database" * 100)
    assert run(store, "check", "--store", url) == 1
