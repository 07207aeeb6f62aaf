"""Sessions that the gateway holds at a legacy upstream: one for each legacy client, and one that all others share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from weakref import WeakValueDictionary

from gateway.call import Call
from gateway.mcp.meeting import Meeting
from gateway.mcp.peer import Peer
from gateway.types import Headers

JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
]
STREAM: Headers = [(b"accept", b"text/event-stream")]
_KEPT = 4096


class Session:
    """Without an id where the upstream keeps none."""

    __slots__ = ("id", "posting", "reading", "version")

    def __init__(self, id: str, version: str) -> None:
        self.id = id
        self.version = version
        named = [(b"mcp-session-id", id.encode("latin-1"))] if id else []
        own = [(b"mcp-protocol-version", version.encode()), *named]
        self.posting: Headers = [*JSON, *own]
        self.reading: Headers = [*STREAM, *own]

    @property
    def handle(self) -> str:
        """What the client's sealed session remembers of it."""
        return f"{self.version} {self.id}"


class Sessions:
    """Those opened here, over those that the client brought with it."""

    def __init__(self, server: str, *, per_caller: bool) -> None:
        self._server = server
        self._per_caller = per_caller
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._meetings: WeakValueDictionary[str, Meeting[Session]] = WeakValueDictionary()

    def get(self, call: Call, peer: Peer) -> Session | None:
        return self._open.get(self._key(call, peer)) or self._brought(peer)

    async def begun(self, call: Call, peer: Peer, begin: Callable[[], Awaitable[Session]]) -> Session:
        """A new one: once for all who wait for it."""

        async def opened() -> Session:
            session = await begin()
            self.put(call, peer, session)
            return session

        meeting = self._meetings.setdefault(self._key(call, peer), Meeting())
        return await meeting.shared(opened)

    def put(self, call: Call, peer: Peer, session: Session) -> None:
        key = self._key(call, peer)
        self._open[key] = session
        self._open.move_to_end(key)
        if len(self._open) > _KEPT:
            self._open.popitem(last=False)

    def pop(self, call: Call, peer: Peer) -> Session | None:
        return self._open.pop(self._key(call, peer), None) or self._brought(peer)

    def _key(self, call: Call, peer: Peer) -> str:
        return f"{call.principal.id}\0{peer.session}" if self._per_caller else peer.session

    def _brought(self, peer: Peer) -> Session | None:
        handle = peer.handles.get(self._server)
        return _of_handle(handle) if handle else None


@lru_cache(_KEPT)
def _of_handle(handle: str) -> Session:
    version, _, ident = handle.partition(" ")
    return Session(ident, version)
