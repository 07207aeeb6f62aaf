"""A coding session as a person would tell it: each model call, and beneath it the tool calls that it asked for.

Agents name the session towards models only. Their tool calls are found by the id of the tool use, which the model's answer
had, among those of the same caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from gateway.admin.request import Request
from gateway.admin.traffic import merged, shown, sums
from gateway.metering.record import Record
from gateway.stores import rows
from gateway.stores.protocols import Ledger

NEWEST: Final = 4000  # calls of which sessions are listed
MOST: Final = 1000  # records of a session
LATER: Final = 3600.0  # seconds that a tool call may come after the last model call


class Sessions:
    def __init__(self, store: Ledger) -> None:
        self._store = store

    async def sessions(self, request: Request) -> dict[str, Any]:
        """Those of the newest calls, so that a year is answered as soon as a day; and since when."""
        since, until = request.window()
        where = request.where()
        models, found = await asyncio.gather(
            self._store.records(since=since, until=until, where={"kind": "llm"}, limit=NEWEST),
            self._store.records(since=since, until=until, where=where, limit=NEWEST),
        )
        asked = {(r.principal, use): r for r in models if r.session for use in r.tool_uses}
        told = (
            (((by.session, by.user), rows.total((), rows.amounts(record))))
            for record in found
            if (by := record if record.session else asked.get((record.principal, record.tool_use_id)))
            is not None
        )
        named = merged(told)[:200]
        full = [records[-1].at for records in (models, found) if len(records) == NEWEST]
        return {
            "sessions": [{**sums(t), "session": t.group[0], "user": t.group[1]} for t in named],
            "since": since, "newest_since": max(full, default=since),
        }  # fmt: skip

    async def session(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        where = {"session": request.name}
        found = await self._store.records(since=since, until=until, where=where, limit=MOST)
        asked = {use: record.call for record in found for use in record.tool_uses}
        records = sorted([*found, *(await self._elsewhere(found, asked))], key=lambda record: record.at)
        wanted = {record.id for record in records if rows.matches(record, request.where())}
        return {"session": request.name, "turns": only(turns(records, asked), wanted)}

    async def _elsewhere(self, found: Sequence[Record], asked: Mapping[str, str]) -> list[Record]:
        """What the session's own callers did with its tool uses, without naming the session."""
        if not asked:
            return []
        first, last = min(record.at for record in found), max(record.at for record in found)
        by_whom = {record.principal for record in found if record.tool_uses}
        others: list[Record] = []
        for principal in sorted(by_whom):
            mine = {"principal": principal, "kind": "mcp", "session": ""}
            others += await self._store.records(since=first, until=last + LATER, where=mine, limit=MOST)
        return [record for record in others if record.tool_use_id in asked]


def turns(records: Sequence[Record], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """In the order of time. Where nobody knows who asked, a tool belongs to the model call before it."""
    found: list[dict[str, Any]] = []
    by_call: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.kind == "llm":
            found.append({"call": shown(record), "tools": []})
            by_call[record.call] = found[-1]
            continue
        if not found:
            found.append({"call": None, "tools": []})
        by_call.get(asked.get(record.tool_use_id, ""), found[-1])["tools"].append(shown(record))
    return found


def only(told: Sequence[dict[str, Any]], wanted: Set[str]) -> list[dict[str, Any]]:
    """The turns in which something is wanted: of their tools those, and the model call that led to them."""
    found = [{**turn, "tools": [tool for tool in turn["tools"] if tool["id"] in wanted]} for turn in told]
    return [turn for turn in found if turn["tools"] or (turn["call"] and turn["call"]["id"] in wanted)]
