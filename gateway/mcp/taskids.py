"""Ids of tasks that say whose they are, and that only their own principal can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import INVALID_PARAMS, Members, RpcError
from gateway.mcp.names import Own
from gateway.mcp.seal import Seal

RELATED = "io.modelcontextprotocol/related-task"
Change = Callable[[str], str]


class TaskIds:
    """`SERVER.TAG.ID`: the tag is made for one principal, so an id that leaked is of no use to another."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def outward(self, call: Call, server: str, raw: bytes) -> bytes:
        """The same bytes where no task is named."""
        if b'"taskId"' not in raw:
            return raw
        return jsonrpc.join(self._each(jsonrpc.members(raw), lambda own: self._exposed(call, server, own)))

    def inward(self, call: Call, raw: bytes) -> bytes:
        """The client's words about its own tasks, in their server's ids."""
        if b'"taskId"' not in raw:
            return raw
        return jsonrpc.join(self._each(jsonrpc.members(raw), lambda exposed: self.own(call, exposed)[1]))

    def own(self, call: Call, exposed: Any) -> Own:
        """Raises RpcError for what is no task of this principal."""
        parts = exposed.split(".", 2) if isinstance(exposed, str) else ()
        if len(parts) != 3 or self._exposed(call, parts[0], parts[2]) != exposed:
            raise RpcError(INVALID_PARAMS, "Unknown task")
        return parts[0], parts[2]

    def _exposed(self, call: Call, server: str, own: str) -> str:
        tag = self._seal.tag("\0".join((call.principal.id, server, own)), purpose="task")
        return f"{server}.{tag}.{own}"

    def _each(self, parts: Members, change: Change) -> Members:
        """At the places where the protocol names tasks, and nowhere else in what a tool may have said."""
        parts = _changed(parts, change)
        if "task" in parts:
            parts["task"] = Raw(jsonrpc.join(_changed(jsonrpc.members(bytes(parts["task"])), change)))
        if "tasks" in parts:
            tasks = [
                jsonrpc.join(_changed(jsonrpc.members(bytes(each)), change))
                for each in jsonrpc.items(bytes(parts["tasks"]))
            ]
            parts["tasks"] = Raw(b"[" + b",".join(tasks) + b"]")
        meta = jsonrpc.members(bytes(parts.get("_meta", b"")))
        if RELATED in meta:
            meta[RELATED] = Raw(jsonrpc.join(_changed(jsonrpc.members(bytes(meta[RELATED])), change)))
            parts["_meta"] = Raw(jsonrpc.join(meta))
        return parts


def _changed(parts: Members, change: Change) -> Members:
    raw = parts.get("taskId")
    own = orjson.loads(bytes(raw)) if raw is not None else None
    return {**parts, "taskId": Raw(orjson.dumps(change(own)))} if isinstance(own, str) else parts
