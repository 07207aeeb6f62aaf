"""The lists of the federation, filtered for each caller by the same rules that judge its calls."""

from __future__ import annotations

import orjson
from msgspec import Raw

from gateway.mcp import disclosure, jsonrpc
from gateway.mcp.catalog import Catalog
from gateway.mcp.jsonrpc import INVALID_PARAMS, RpcError
from gateway.mcp.seal import Broken, Seal
from gateway.mcp.sight import Sight
from gateway.mcp.tables import KINDS, TOOLS
from gateway.mcp.turn import MISSING, Turn, judge, told
from gateway.mcp.upstream import Answer

PAGE = 1000
_CURSOR_TTL = 3600.0


class Lists:
    """Serves the four lists."""

    def __init__(
        self, catalog: Catalog, sight: Sight, seal: Seal, *, searching: bool, page: int = PAGE
    ) -> None:
        self._catalog = catalog
        self._sight = sight
        self._searching = searching
        self._seal = seal
        self._page = page

    async def serve(self, turn: Turn) -> Answer:
        kind = KINDS[turn.message.method]
        start = self._start(turn)
        judge(turn)
        view = await self._catalog.view(turn.call, turn.peer, kind)
        shown = await self._sight.filter(turn, kind, view.entries)
        page = shown[start : start + self._page]
        entries = b"[" + b",".join(entry.raw for entry in page) + b"]"
        if self._searching and kind is TOOLS:
            shown, entries = [], disclosure.RAW
        result: dict[str, Raw | bytes] = {kind.member: entries}
        if start + self._page < len(shown):
            result["nextCursor"] = orjson.dumps(self._cursor(turn, start + self._page))
        if turn.peer.modern:
            result |= {"resultType": b'"complete"', "ttlMs": b"%d" % view.ttl_ms, "cacheScope": b'"private"'}
        if view.missing:
            result["_meta"] = orjson.dumps({MISSING: told(view.missing)})
        return Answer(jsonrpc.join(result), modern=turn.peer.modern)

    def _start(self, turn: Turn) -> int:
        cursor = turn.message.tree.get("cursor")
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
