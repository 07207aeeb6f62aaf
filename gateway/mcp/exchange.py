"""What servers say while they serve one request, put as its client knows it: ids of tasks, progress, resumable events."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from msgspec import Raw, Struct, field, structs

from gateway.call import Call
from gateway.mcp import jsonrpc, resume
from gateway.mcp.catalog import Catalog
from gateway.mcp.jsonrpc import Message
from gateway.mcp.peer import Peer
from gateway.mcp.resume import Place
from gateway.mcp.seal import Seal
from gateway.mcp.taskids import TaskIds
from gateway.mcp.wire import Wire

_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What every exchange needs of the federation. Shared, and not a function made for each: nothing of a request refers to
    itself in a circle, so that all of it is gone when it ends and the collector has nothing to do."""

    catalog: Catalog
    ids: TaskIds
    seal: Seal


class Exchange(Struct, eq=False):
    """One request of the client in its response. An `Ear` to the upstream that serves it.

    `place` says what its events are about, where its stream can be resumed.
    """

    wire: Wire
    call: Call
    peer: Peer
    interpreter: Interpreter
    # The client's; empty where a server speaks on its own account.
    message: Message = field(default_factory=Message)
    server: str = ""
    place: Place | None = None

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if not self.wire.streaming:
            return
        ident = self._event_id(event_id) if self.peer.session else ""
        if message.method:
            data = self._translate(message)
            if data:
                await self.wire.event(data, id=ident)
        elif ident:
            await self.wire.event(b"", id=ident, retry=retry)

    def _event_id(self, event: str | None) -> str:
        """Ours for one of the server's; "" where nothing can be resumed."""
        if event is None or self.place is None:
            return ""
        place = structs.replace(self.place, event=event)
        return resume.seal(self.interpreter.seal, self.call, place)

    def _translate(self, message: Message) -> bytes:
        if message.is_request:
            return self._ask_client(message)
        if message.method == "notifications/progress":
            return self._progress(message)
        if message.method == "notifications/message" and not self._wants(message):
            return b""
        if message.method.endswith("list_changed"):
            self.interpreter.catalog.forget(self.server)
            if self.peer.modern:
                return b""  # only a subscription carries these
        return jsonrpc.notification(message.method, self._outward(message.params))

    def _outward(self, raw: bytes) -> bytes:
        return self.interpreter.ids.outward(self.call, self.server, raw)

    def _progress(self, message: Message) -> bytes:
        token = self.message.meta.get("progressToken")
        if token is None:
            return b""
        params = {**jsonrpc.members(message.params), "progressToken": Raw(orjson.dumps(token))}
        return jsonrpc.notification(message.method, jsonrpc.join(params))

    def _wants(self, message: Message) -> bool:
        if not self.peer.log_level:
            return not self.peer.modern
        raw = bytes(jsonrpc.members(message.params).get("level", b"null"))
        level = orjson.loads(raw)
        if level not in _LEVELS or self.peer.log_level not in _LEVELS:
            return True
        return _LEVELS.index(level) >= _LEVELS.index(self.peer.log_level)

    def _ask_client(self, message: Message) -> bytes:
        """A request of a legacy server to its legacy client, under an id that tells any instance where it came from."""
        if self.server not in self.peer.handles:
            return b""
        params = self._outward(message.params)
        return jsonrpc.request(request_id(self.server, message.id), message.method, params)


def request_id(server: str, ident: bytes) -> bytes:
    return orjson.dumps(f"{server}:{ident.decode()}")


def split_request_id(ident: bytes) -> tuple[str, bytes]:
    """The server and its own id; ("", b"") where it is none of ours."""
    value = orjson.loads(ident)
    server, colon, own = value.partition(":") if isinstance(value, str) else ("", "", "")
    return (server, own.encode()) if colon else ("", b"")
