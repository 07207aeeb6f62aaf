"""What servers say on their own account: the GET stream of a legacy client, the subscription of a modern one.

One stream to the client, one to each server. Each server may speak either era; what it says is put as the client's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.errors import Refused, UpstreamError
from gateway.mcp import eras, jsonrpc, resume
from gateway.mcp import peer as peers
from gateway.mcp.catalog import Catalog
from gateway.mcp.exchange import Exchange, Wire
from gateway.mcp.jsonrpc import Message
from gateway.mcp.peer import Peer
from gateway.mcp.resume import Place
from gateway.mcp.seal import Seal
from gateway.mcp.server import Server
from gateway.mcp.taskids import TaskIds
from gateway.mcp.turn import Turn
from gateway.mcp.upstream import Ask, Hello, is_answer

CHANGES = {"toolsListChanged": "tools", "promptsListChanged": "prompts", "resourcesListChanged": "resources"}
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
LASTING = 5.0  # seconds


Finished = Callable[[Call, Peer, Wire, Place, Message], Awaitable[bytes]]  # the answer of a resumed request


class Listening:
    """Serves both kinds of streams."""

    def __init__(self, catalog: Catalog, seal: Seal, ids: TaskIds, finished: Finished) -> None:
        self._catalog = catalog
        self._ids = ids
        self._seal = seal
        self._finished = finished

    # -- legacy: GET

    async def stream(self, call: Call, peer: Peer, wire: Wire, after: str) -> None:
        """Until the client leaves; with `after`, what came after that event, until the server ends it."""
        await wire.start()
        place = resume.unseal(self._seal, call, after) if after else None
        if place is not None and place.server in peer.handles and place.server in self._catalog.servers:
            await self._resume(call, peer, wire, place)
            return
        await asyncio.gather(
            *(self._keep(call, peer, wire, server) for server in self._catalog.servers.values())
        )
        await asyncio.Event().wait()

    async def _resume(self, call: Call, peer: Peer, wire: Wire, place: Place) -> None:
        ear = self._ear(call, wire, peer, place)
        ear.finished = self._finished
        with contextlib.suppress(UpstreamError):
            server = self._catalog.servers[place.server]
            await server.upstream.listen(call, peer, {}, ear, place.event)
        await wire.finish()

    async def _keep(self, call: Call, peer: Peer, wire: Wire, server: Server) -> None:
        ear = self._ear(call, wire, peer, Place(server.name, ""))

        async def listen() -> None:
            hello = await server.upstream.hello(call, peer)
            wanted = accepted(hello, dict.fromkeys(CHANGES, True))
            if wanted or server.name in peer.handles:
                await server.upstream.listen(call, peer, wanted, ear, "")

        await again(listen)

    def _ear(self, call: Call, wire: Wire, peer: Peer, place: Place) -> _Ear:
        ear = _Ear(wire, peer, self._catalog)
        ear.server = place.server
        ear.place = place
        ear.changed = self._catalog.forget
        ear.event_id = lambda event: resume.seal(self._seal, call, replace(place, event=event))
        ear.outward = partial(self._ids.outward, call)
        ear.call = call
        return ear

    # -- modern: subscriptions/listen

    async def subscribe(self, turn: Turn) -> None:
        """Until the client leaves, or all servers have ended."""
        wanted = turn.tree.get("notifications")
        wanted = wanted if isinstance(wanted, Mapping) else {}
        if not turn.exchange.wire.streaming:
            await self._acknowledge(turn, {})
            return
        subscription = _Subscription(turn, self._catalog)
        listeners = [
            asyncio.ensure_future(self._follow(turn, server, wanted, subscription))
            for server in self._catalog.servers.values()
        ]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._catalog.deadline):
                    await asyncio.gather(*(ear.agreed.wait() for ear in subscription.ears))
            await self._acknowledge(turn, subscription.accepted())
            await subscription.open()
            await asyncio.gather(*listeners)
            if subscription.accepted():
                return
            await asyncio.Event().wait()
        finally:
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)

    async def _acknowledge(self, turn: Turn, agreed: Mapping[str, Any]) -> None:
        params = {"_meta": {eras.SUBSCRIPTION: orjson.loads(turn.message.id)}, "notifications": agreed}
        await turn.exchange.wire.event(jsonrpc.notification(ACKNOWLEDGED, orjson.dumps(params)))

    async def _follow(
        self, turn: Turn, server: Server, wanted: Mapping[str, Any], subscription: _Subscription
    ) -> None:
        ear = subscription.ear(server.name)
        try:
            hello = await server.upstream.hello(turn.call, turn.peer)
            share = accepted(hello, await self._share(turn, server, wanted))
            if not share:
                return
            if hello.modern:
                await again(lambda: server.upstream.listen(turn.call, turn.peer, share, ear, ""))
            else:
                await again(lambda: self._follow_legacy(turn, server, share, ear))
        except (UpstreamError, Refused):
            return
        finally:
            ear.agreed.set()

    async def _follow_legacy(
        self, turn: Turn, server: Server, share: Mapping[str, Any], ear: _Follower
    ) -> None:
        """A session of its own, because a server sends what it says on its own account to one stream a session."""
        peer = peers.fresh(eras.LEGACY[0], turn.peer.info, {})
        for uri in share.get("resourceSubscriptions", ()):
            ask = Ask(turn.call, peer, "resources/subscribe", {"uri": Raw(orjson.dumps(uri))})
            await server.upstream.ask(ask, ear)
        ear.agree(share)
        try:
            await server.upstream.listen(turn.call, peer, share, ear, "")
        finally:
            with contextlib.suppress(UpstreamError):
                await server.upstream.leave(turn.call, peer)

    async def _share(self, turn: Turn, server: Server, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What of the filter concerns this server, in its own URIs."""
        share: dict[str, Any] = {flag: True for flag in CHANGES if wanted.get(flag) is True}
        uris = wanted.get("resourceSubscriptions")
        own = []
        for uri in uris if isinstance(uris, list) else ():
            located = await self._catalog.locate(turn.call, turn.peer, uri) if isinstance(uri, str) else None
            if located is not None and located[0] == server.name:
                own.append(located[1])
        if own:
            share["resourceSubscriptions"] = own
        return share


async def again(listen: Callable[[], Awaitable[None]]) -> None:
    """Listen, and once more whenever a stream breaks that had lasted; what ends at once is not offered."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        with contextlib.suppress(UpstreamError, Refused):
            await listen()
        if clock() - began < LASTING:
            return
        began = clock()


def accepted(hello: Hello, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What of the filter the server says that it can do."""
    agreed: dict[str, Any] = {}
    for flag, capability in CHANGES.items():
        offered = hello.capabilities.get(capability)
        if wanted.get(flag) and isinstance(offered, Mapping) and offered.get("listChanged"):
            agreed[flag] = True
    resources = hello.capabilities.get("resources")
    if wanted.get("resourceSubscriptions") and isinstance(resources, Mapping) and resources.get("subscribe"):
        agreed["resourceSubscriptions"] = wanted["resourceSubscriptions"]
    return agreed


class _Ear(Exchange):
    """Puts what a server says into the client's names, whatever its era."""

    __slots__ = ("_catalog", "call", "finished", "place", "subscription")

    def __init__(self, wire: Wire, peer: Peer, catalog: Catalog, subscription: bytes = b"") -> None:
        super().__init__(wire, peer, {})
        self._catalog = catalog
        self.subscription = subscription
        self.place = Place("", "")
        self.call: Call | None = None
        self.finished: Finished | None = None

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if is_answer(message) and self.finished is not None and self.call is not None:
            data = await self.finished(self.call, self.peer, self.wire, self.place, message)
            await self.wire.event(data, id=self.event_id(event_id) if event_id is not None else "")
        else:
            await super().hear(message, event_id, retry)

    def _translate(self, message: Message) -> bytes:
        if message.method == ACKNOWLEDGED:
            return b""
        if message.method.endswith("list_changed"):
            self.changed(self.server)
        if message.method not in {UPDATED} and not message.method.endswith("list_changed"):
            return super()._translate(message)
        return jsonrpc.notification(message.method, self._params(message))

    def _params(self, message: Message) -> bytes:
        params = jsonrpc.members(message.params)
        meta = jsonrpc.members(bytes(params.get("_meta", b"")))
        meta.pop(eras.SUBSCRIPTION, None)
        if self.subscription:
            meta[eras.SUBSCRIPTION] = Raw(self.subscription)
        params.pop("_meta", None)
        if meta:
            params["_meta"] = Raw(jsonrpc.join(meta))
        if "uri" in params:
            uri = orjson.loads(bytes(params["uri"]))
            params["uri"] = Raw(orjson.dumps(self._catalog.shown_uri(self.server, uri)))
        return jsonrpc.join(params) if params else b""


class _Follower(_Ear):
    """One server of a subscription: nothing of it is passed on before the acknowledgement."""

    __slots__ = ("_held", "_open", "accepted", "agreed")

    def __init__(self, wire: Wire, peer: Peer, catalog: Catalog, subscription: bytes) -> None:
        super().__init__(wire, peer, catalog, subscription)
        self.accepted: dict[str, Any] = {}
        self.agreed = asyncio.Event()
        self._held: list[bytes] = []
        self._open = False

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if message.method == ACKNOWLEDGED:
            tree = orjson.loads(bytes(jsonrpc.members(message.params).get("notifications", b"{}")))
            self.agree(tree if isinstance(tree, Mapping) else {})
            return
        if not (message.method.endswith("list_changed") or message.method == UPDATED):
            return
        data = self._translate(message)
        if self._open:
            await self.wire.event(data)
        else:
            self._held.append(data)

    def agree(self, share: Mapping[str, Any]) -> None:
        self.accepted = dict(share)
        own = share.get("resourceSubscriptions")
        uris = (
            [self._catalog.shown_uri(self.server, str(uri)) for uri in own] if isinstance(own, list) else []
        )
        if uris:
            self.accepted["resourceSubscriptions"] = uris
        self.agreed.set()

    async def open(self) -> None:
        held, self._held, self._open = self._held, [], True
        for data in held:
            await self.wire.event(data)


class _Subscription:
    """The servers of one subscription together."""

    def __init__(self, turn: Turn, catalog: Catalog) -> None:
        self._turn = turn
        self._ears = {
            name: _Follower(turn.exchange.wire, turn.peer, catalog, turn.message.id)
            for name in catalog.servers
        }
        for name, ear in self._ears.items():
            ear.server = name
            ear.changed = catalog.forget

    @property
    def ears(self) -> list[_Follower]:
        return list(self._ears.values())

    def ear(self, name: str) -> _Follower:
        return self._ears[name]

    def accepted(self) -> dict[str, Any]:
        agreed: dict[str, Any] = {}
        uris: list[str] = []
        for ear in self._ears.values():
            agreed |= {flag: True for flag in CHANGES if ear.accepted.get(flag)}
            uris += ear.accepted.get("resourceSubscriptions", ())
        if uris:
            agreed["resourceSubscriptions"] = uris
        return agreed

    async def open(self) -> None:
        for ear in self._ears.values():
            await ear.open()
