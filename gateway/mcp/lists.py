"""The lists of the federation, filtered for each caller by the same rules that judge its calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Operation
from gateway.mcp import jsonrpc
from gateway.mcp.catalog import KINDS, TOOLS, Catalog, Entry, Kind
from gateway.mcp.jsonrpc import INVALID_PARAMS, RpcError
from gateway.mcp.seal import Broken, Seal
from gateway.mcp.turn import Turn
from gateway.mcp.upstream import Answer

PAGE = 1000
_CURSOR_TTL = 3600.0
_SUBJECTS = {"name": {"tools": "tool", "prompts": "prompt"}, "uri": {"resources": "resource"}}


class Lists:
    """Serves the four lists."""

    def __init__(self, catalog: Catalog, seal: Seal, *, page: int = PAGE) -> None:
        self._catalog = catalog
        self._seal = seal
        self._page = page

    async def serve(self, turn: Turn) -> Answer:
        kind = KINDS[turn.message.method]
        start = self._start(turn)
        turn.operation()
        view = await self._catalog.view(turn.call, turn.peer, kind)
        shown = await self._visible(turn, kind, view.table.entries)
        page = shown[start : start + self._page]
        result: dict[str, Raw | bytes] = {kind.member: b"[" + b",".join(entry.raw for entry in page) + b"]"}
        if start + self._page < len(shown):
            result["nextCursor"] = orjson.dumps(self._cursor(turn, start + self._page))
        if turn.peer.modern:
            result |= {"resultType": b'"complete"', "ttlMs": b"%d" % view.ttl_ms, "cacheScope": b'"private"'}
        if view.missing:
            missing = [{"server": name, "reason": why} for name, why in view.missing.items()]
            result["_meta"] = orjson.dumps({"gateway/missing": missing})
        return Answer(jsonrpc.join(result), modern=turn.peer.modern)

    async def _visible(self, turn: Turn, kind: Kind, entries: Sequence[Entry]) -> list[Entry]:
        authz, guard = turn.policies.authz, turn.policies.guard
        shown = list(entries)
        if authz is not None:
            shown = [
                entry for entry in entries if authz.decide(turn.call, operation(turn, kind, entry)) is None
            ]
        if guard is None or kind is not TOOLS:
            return shown
        trees = [entry.tree for entry in shown]
        kept = await guard.definitions(turn.call, trees)
        if kept is trees:
            return shown
        return [_as_kept(entry, tree) for tree in kept for entry in shown if entry.tree is tree]

    def _start(self, turn: Turn) -> int:
        cursor = turn.tree.get("cursor")
        if cursor is None:
            return 0
        try:
            return int(self._seal.open(cursor, purpose=self._purpose(turn)))
        except (Broken, TypeError, ValueError) as exc:
            raise RpcError(INVALID_PARAMS, "Invalid cursor") from exc

    def _cursor(self, turn: Turn, start: int) -> str:
        return self._seal.seal(start, purpose=self._purpose(turn), ttl=_CURSOR_TTL)

    def _purpose(self, turn: Turn) -> str:
        return f"cursor\0{turn.message.method}\0{turn.call.principal.id}"


def operation(turn: Turn, kind: Kind, entry: Entry) -> Operation:
    """What a rule is asked of one entry of a list."""
    subject: Any = _SUBJECTS.get(kind.key, {}).get(kind.member)
    return Operation(
        "mcp",
        turn.message.method,
        False,
        subject=subject,
        server=entry.server,
        name=entry.name,
        exposed=entry.exposed,
    )


def _as_kept(entry: Entry, tree: Mapping[str, Any]) -> Entry:
    return entry
