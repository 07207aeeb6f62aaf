"""What servers say on their own account: the GET stream of a legacy client, the subscription of a modern one.

One stream to the client, one to each server. Each server may speak either era; what it says is put as the client's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.errors import Refused, UpstreamError
from gateway.mcp import eras, jsonrpc, resume
from gateway.mcp import peer as peers
from gateway.mcp.ears import ACKNOWLEDGED, CHANGES, Finished, Follower, Listener, Subscription, accepted
from gateway.mcp.exchange import Interpreter
from gateway.mcp.following import Following
from gateway.mcp.names import Own
from gateway.mcp.peer import Peer
from gateway.mcp.resume import Place
from gateway.mcp.server import Server
from gateway.mcp.turn import Turn
from gateway.mcp.upstream import Ask
from gateway.mcp.wire import Wire

LASTING = 5.0  # seconds
FOLLOWED = 1000  # resources of one subscription

Sees = Callable[[Turn, Own, str], bool]  # whether the caller may read this resource


class Listening:
    """Serves both kinds of streams."""

    def __init__(self, interpreter: Interpreter, finished: Finished, sees: Sees) -> None:
        self._interpreter = interpreter
        self._catalog = interpreter.catalog
        self._finished = finished
        self._sees = sees
        self.following = Following()
        self._over = asyncio.Event()
        self._listeners: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """The streams that would go on until their clients leave are completed now."""
        self._over.set()
        for listener in self._listeners:
            listener.cancel()

    def _begin(self, works: Iterable[Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
        listeners = [asyncio.create_task(work) for work in works]
        self._listeners.update(listeners)
        for listener in listeners:
            listener.add_done_callback(self._listeners.discard)
        return listeners

    # -- legacy: GET

    async def stream(self, call: Call, peer: Peer, wire: Wire, after: str) -> None:
        """Until the client leaves or the gateway ends; with `after`, what came after that event, until the server ends it."""
        await wire.start()
        place = resume.unseal(self._interpreter.seal, call, after) if after else None
        if place is not None and place.server in peer.handles and place.server in self._catalog.servers:
            await self._resume(call, peer, wire, place)
            return
        listeners = self._begin(
            self._keep(call, peer, wire, server) for server in self._catalog.servers.values()
        )

        def follow(own: Own) -> Coroutine[Any, Any, None]:
            return self._hear_of(call, peer, wire, own)

        try:
            with self.following.stream(peer.session, follow):
                await self._over.wait()
        finally:
            await _ended(listeners)
        await wire.finish()

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

    async def _hear_of(self, call: Call, peer: Peer, wire: Wire, own: Own) -> None:
        """One resource of a modern server, that a legacy client follows."""
        ear = self._ear(call, wire, peer, Place(own[0], ""))
        upstream = self._catalog.servers[own[0]].upstream
        await again(lambda: upstream.listen(call, peer, {"resourceSubscriptions": [own[1]]}, ear, ""))

    def _ear(self, call: Call, wire: Wire, peer: Peer, place: Place) -> Listener:
        ear = Listener(wire, call, peer, self._interpreter)
        ear.server = place.server
        ear.place = place
        return ear

    # -- modern: subscriptions/listen

    async def subscribe(self, turn: Turn) -> None:
        """Until the client leaves, all servers have ended, or the gateway ends."""
        wanted = turn.message.tree.get("notifications")
        wanted = wanted if isinstance(wanted, Mapping) else {}
        if not turn.wire.streaming:
            await self._acknowledge(turn, {})
            return
        subscription = Subscription(turn, self._interpreter)
        shares = await self._shares(turn, wanted)
        listeners = self._begin(
            self._follow(turn, server, shares[server.name], subscription)
            for server in self._catalog.servers.values()
        )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._catalog.listings.deadline):
                    await asyncio.gather(*(ear.agreed.wait() for ear in subscription.ears))
            await self._acknowledge(turn, subscription.accepted())
            await subscription.open()
            await asyncio.gather(*listeners, return_exceptions=True)
            if not subscription.accepted():
                await self._over.wait()
        finally:
            await _ended(listeners)

    async def _acknowledge(self, turn: Turn, agreed: Mapping[str, Any]) -> None:
        params = {"_meta": {eras.SUBSCRIPTION: orjson.loads(turn.message.id)}, "notifications": agreed}
        await turn.wire.event(jsonrpc.notification(ACKNOWLEDGED, orjson.dumps(params)))

    async def _follow(
        self, turn: Turn, server: Server, wanted: Mapping[str, Any], subscription: Subscription
    ) -> None:
        """`wanted` is what concerns this server."""
        ear = subscription.ear(server.name)
        try:
            hello = await server.upstream.hello(turn.call, turn.peer)
            share = accepted(hello, wanted)
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
        self, turn: Turn, server: Server, share: Mapping[str, Any], ear: Follower
    ) -> None:
        """A session of its own, because a server sends what it says on its own account to one stream a session."""
        peer = peers.fresh(eras.LEGACY[0], turn.peer.info, {})
        for uri in share.get("resourceSubscriptions", ()):
            params = {"uri": Raw(orjson.dumps(uri))}
            ask = Ask(turn.call, peer, "resources/subscribe", changed=params)
            await server.upstream.ask(ask, ear)
        ear.agree(share)
        try:
            await server.upstream.listen(turn.call, peer, share, ear, "")
        finally:
            with contextlib.suppress(UpstreamError):
                await server.upstream.leave(turn.call, peer)

    async def _shares(self, turn: Turn, wanted: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """What of the filter concerns each server, in its own URIs. What the caller may not read is left out like what is not
        there."""
        flags = {flag: True for flag in CHANGES if wanted.get(flag) is True}
        shares: dict[str, dict[str, Any]] = {name: dict(flags) for name in self._catalog.servers}
        uris = wanted.get("resourceSubscriptions")
        asked = [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
        for own in await asyncio.gather(*(self._located(turn, uri) for uri in asked[:FOLLOWED])):
            if own is not None:
                shares[own[0]].setdefault("resourceSubscriptions", []).append(own[1])
        return shares

    async def _located(self, turn: Turn, uri: str) -> Own | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._catalog.listings.deadline):
                own = await self._catalog.locate(turn.call, turn.peer, uri)
                return own if own is not None and self._sees(turn, own, uri) else None
        return None


async def _ended(listeners: Iterable[asyncio.Task[None]]) -> None:
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)


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
