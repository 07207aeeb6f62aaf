"""A coding session as a person would tell it: each model call, and beneath it the tool calls that it asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.admin.request import Request
from gateway.admin.traffic import shown, sums
from gateway.metering.record import Record
from gateway.stores.protocols import Ledger
from gateway.telemetry.recent import Recent


class Sessions:
    def __init__(self, store: Ledger, recent: Recent) -> None:
        self._store = store
        self._recent = recent

    async def sessions(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        totals = await self._store.usage(
            since=since, until=until, by=("session", "user"), where=request.where()
        )
        named = [total for total in totals if total.group[0]][:200]
        return {"sessions": [{**sums(t), "session": t.group[0], "user": t.group[1]} for t in named]}

    async def session(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        where = {**request.where(), "session": request.name}
        records = await self._store.records(since=since, until=until, where=where, limit=1000)
        return {"session": request.name, "turns": turns(sorted(records, key=lambda r: r.at), self._asked())}

    def _asked(self) -> dict[str, str]:
        """Tool-use id → the model call that asked for it, as far as this process saw it."""
        return {use: seen.id for seen in self._recent.calls for use in seen.tool_uses}


def turns(records: Sequence[Record], asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """In the order of time. Where the model's answer was not seen here, a tool belongs to the model call before it."""
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
