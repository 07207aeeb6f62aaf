"""What each method of the protocol means for a federation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import orjson
from msgspec import Raw, structs

from gateway.call import Call
from gateway.errors import Refused, UpstreamError
from gateway.mcp import eras, jsonrpc
from gateway.mcp.bounds import Bounds
from gateway.mcp.catalog import Catalog
from gateway.mcp.ears import accepted
from gateway.mcp.exchange import Interpreter, split_request_id
from gateway.mcp.greeting import Greeting
from gateway.mcp.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Message, RpcError
from gateway.mcp.listening import Listening
from gateway.mcp.lists import Lists
from gateway.mcp.names import Own
from gateway.mcp.peer import Peer
from gateway.mcp.relay import METHODS, Relay
from gateway.mcp.resume import Place, client_id, hop_id
from gateway.mcp.seal import Seal
from gateway.mcp.server import Server
from gateway.mcp.sight import SUBJECTS, Sight
from gateway.mcp.tables import KINDS, PROMPTS, RESOURCES, TEMPLATES, Entry, Kind
from gateway.mcp.taskids import TaskIds
from gateway.mcp.tasks import METHODS as TASKS
from gateway.mcp.tasks import Tasks
from gateway.mcp.together import Together
from gateway.mcp.turn import Turn, judge, refused, unknown
from gateway.mcp.upstream import Answer, Ask, Hello, incoming, plainly
from gateway.mcp.wire import Wire
from gateway.policies import Policies

T = TypeVar("T")
Handler = Callable[[Turn], Awaitable[Answer]]
CANCELLED = "cancelled by the client"


class Methods:
    """Serves a request by its method."""

    def __init__(
        self,
        catalog: Catalog,
        sight: Sight,
        bounds: Bounds,
        seal: Seal,
        *,
        name: str,
        version: str,
        streaming: bool,
        searching: bool,
    ) -> None:
        self._catalog = catalog
        self._together = Together(catalog)
        self._sight = sight
        self._bounds = bounds
        self._streaming = streaming
        self._ids = TaskIds(seal)
        relay = self._relay = Relay(catalog, sight, bounds, self._ids, searching=searching)
        tasks = Tasks(catalog, relay, self._ids)
        self.interpreter = Interpreter(catalog, self._ids, seal)
        self.listening = Listening(self.interpreter, self._resumed, self._may_follow)
        self._flights: dict[tuple[str, bytes], asyncio.Task[Any]] = {}
        lists = Lists(catalog, sight, seal, searching=searching)
        greeting = Greeting(catalog, self._together, name=name, version=version, streaming=streaming)
        self._handlers: dict[str, Handler] = {
            "initialize": greeting.initialize,
            "server/discover": greeting.discover,
            "ping": self._ping,
            "completion/complete": self._complete,
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._subscribe,
            "tasks/list": tasks.listed,
            **dict.fromkeys(TASKS, tasks.serve),
            "subscriptions/listen": self._listen,
            **dict.fromkeys(METHODS, relay.serve),
            **dict.fromkeys(KINDS, lists.serve),
        }

    def serve(self, turn: Turn) -> Awaitable[Answer]:
        """Raises RpcError."""
        method = turn.message.method
        handler = self._handlers.get(method)
        if handler is None or method in (eras.LEGACY_ONLY if turn.peer.modern else eras.MODERN_ONLY):
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method}")
        return self._in_flight(turn, handler) if turn.peer.session else handler(turn)

    async def _in_flight(self, turn: Turn, handler: Handler) -> Answer:
        """Remembered while it lasts: it may be cancelled, and its id is taken."""
        key = turn.peer.session, turn.message.id
        if key in self._flights:
            raise RpcError(jsonrpc.INVALID_REQUEST, "a request with this id is in flight")
        task = asyncio.current_task()
        assert task is not None
        self._flights[key] = task
        try:
            return await handler(turn)
        finally:
            del self._flights[key]

    async def _resumed(self, call: Call, peer: Peer, wire: Wire, place: Place, message: Message) -> bytes:
        ident = client_id(message.id)
        if not ident:
            return jsonrpc.error(b"null", jsonrpc.error_value(jsonrpc.INTERNAL_ERROR, "an answer to nothing"))
        asked = Message(ident, place.method)
        turn = Turn(wire, call, peer, self.interpreter, asked, policies=call.policies or Policies())
        try:
            answer = await self._relay.resumed(turn, place, Answer(message.result, message.error))
        except RpcError as exc:
            return jsonrpc.error(ident, jsonrpc.error_value(exc.code, exc.message, exc.data))
        except UpstreamError as exc:
            return jsonrpc.error(ident, jsonrpc.error_value(jsonrpc.INTERNAL_ERROR, plainly(exc)))
        except Refused as exc:
            return jsonrpc.result(ident, refused(turn, exc.refusal).result)
        return jsonrpc.result(ident, answer.result) if answer.result else jsonrpc.error(ident, answer.error)

    # -- sessions

    async def join(self, call: Call, peer: Peer) -> Peer:
        """A client's session begins at every server that keeps sessions. One that takes too long over it serves it without."""

        async def begun(server: Server) -> Mapping[str, str]:
            each = self._together.each
            met = await each([server], lambda server: server.upstream.hello(call, peer), call)
            return await each([server] if met else [], lambda server: server.upstream.join(call, peer))

        found = await asyncio.gather(*map(begun, self._catalog.servers.values()))
        handles = {name: handle for each in found for name, handle in each.items() if handle}
        return structs.replace(peer, handles=handles)

    async def leave(self, call: Call, peer: Peer) -> None:
        self.listening.following.forget(peer.session)
        servers = [self._catalog.servers[name] for name in peer.handles if name in self._catalog.servers]
        await self._together.each(servers, lambda server: server.upstream.leave(call, peer))

    async def told(self, call: Call, peer: Peer, message: Message) -> None:
        """A notification, or the client's answer to a request that a server had sent it."""
        if not message.method:
            await self._answered(call, peer, message)
        elif message.method == "notifications/cancelled":
            await self._cancelled(call, peer, message)
        elif message.method != "notifications/initialized":
            await self._tell(call, peer, jsonrpc.notification(message.method, message.params))

    async def _tell(self, call: Call, peer: Peer, raw: bytes) -> None:
        servers = [self._catalog.servers[name] for name in peer.handles if name in self._catalog.servers]
        await self._together.each(servers, lambda server: server.upstream.tell(call, peer, raw))

    async def _cancelled(self, call: Call, peer: Peer, message: Message) -> None:
        """The servers of this session know the request under the client's own id; others are let go of here."""
        params = jsonrpc.members(message.params)
        ident = bytes(params.get("requestId", b""))
        if not peer.session or not ident:
            return
        params["requestId"] = Raw(hop_id(ident))
        await self._tell(call, peer, jsonrpc.notification(message.method, jsonrpc.join(params)))
        task = self._flights.get((peer.session, ident))
        if task is not None:
            task.cancel(CANCELLED)

    async def _answered(self, call: Call, peer: Peer, message: Message) -> None:
        if self._relay.bridge.answered(peer.session, message):
            return
        name, ident = split_request_id(message.id)
        server = self._catalog.servers.get(name) if name in peer.handles else None
        if server is None:
            raise RpcError(jsonrpc.INVALID_REQUEST, "an answer to no request of this session", id=message.id)
        if message.error:
            await server.upstream.tell(call, peer, jsonrpc.error(ident, message.error))
        else:
            given = self._ids.inward(call, message.result)
            await server.upstream.tell(call, peer, jsonrpc.result(ident, given))

    # -- what the gateway answers itself

    async def _ping(self, turn: Turn) -> Answer:
        return Answer(b"{}")

    async def _set_level(self, turn: Turn) -> Answer:
        async def tell(server: Server) -> None:
            hello = await server.upstream.hello(turn.call, turn.peer)
            if not hello.modern and "logging" in hello.capabilities:
                await server.upstream.ask(
                    Ask(turn.call, turn.peer, "logging/setLevel", turn.message.params), turn
                )

        await self._together.each(self._catalog.servers.values(), tell)
        return Answer(b"{}")

    def _sees(self, turn: Turn, kind: Kind, entry: Entry) -> bool:
        """What is hidden from this caller cannot be completed or followed either."""
        op = turn.operation(
            subject=SUBJECTS[kind.method], server=entry.server, name=entry.name, exposed=entry.exposed
        )
        try:
            if self._sight.judge(turn, op, kind) is not None:
                return False
            if kind is RESOURCES and (refusal := self._bounds.arguments(turn.call, op)) is not None:
                raise Refused(refusal)
        except Refused as exc:
            raise RpcError(-31000 - exc.refusal.status, exc.refusal.message) from exc
        return True

    def _may_follow(self, turn: Turn, own: Own, uri: str) -> bool:
        try:
            return self._sees(turn, RESOURCES, Entry(*own, uri, b"", {}))
        except RpcError:
            return False

    async def _subscribe(self, turn: Turn) -> Answer:
        method, uri = turn.message.method, str(turn.message.tree.get("uri"))
        own = await self._catalog.locate(turn.call, turn.peer, uri)
        if own is None or not self._sees(turn, RESOURCES, Entry(own[0], own[1], uri, b"", {})):
            return unknown(turn, uri)
        server = self._catalog.servers[own[0]]
        hello = await reached(server.upstream.hello(turn.call, turn.peer))
        if hello.modern:
            return self._follow(turn, own, hello)
        params = {**turn.params, "uri": Raw(orjson.dumps(own[1]))}
        return await asked(turn, server, Ask(turn.call, turn.peer, method, changed=params))

    def _follow(self, turn: Turn, own: Own, hello: Hello) -> Answer:
        """A server of the modern era is subscribed to in the client's place."""
        following, session = self.listening.following, turn.peer.session
        if turn.message.method == "resources/unsubscribe":
            following.leave(session, own)
        elif not (session and self._streaming and accepted(hello, {"resourceSubscriptions": [own[1]]})):
            raise RpcError(METHOD_NOT_FOUND, "this resource cannot be followed here")
        elif not following.follow(session, own):
            raise RpcError(jsonrpc.INVALID_REQUEST, "this session follows too many resources")
        return Answer(b"{}")

    async def _listen(self, turn: Turn) -> Answer:
        await self.listening.subscribe(turn)
        meta = {eras.SUBSCRIPTION: orjson.loads(turn.message.id)}
        return Answer(orjson.dumps({"resultType": "complete", "_meta": meta}))

    async def _complete(self, turn: Turn) -> Answer:
        judge(turn)
        ref = turn.message.tree.get("ref")
        if not isinstance(ref, Mapping):
            raise RpcError(INVALID_PARAMS, "params.ref must be an object")
        key, kind = ("name", PROMPTS) if ref.get("type") == "ref/prompt" else ("uri", TEMPLATES)
        entry = await self._catalog.find(turn.call, turn.peer, kind, str(ref.get(key)))
        if entry is None or not self._sees(turn, kind, entry):
            return unknown(turn, str(ref.get(key)))
        params = dict(turn.params)
        if entry.name != entry.exposed:
            params["ref"] = Raw(orjson.dumps({**ref, key: entry.name}))
        server = self._catalog.servers[entry.server]
        return await asked(turn, server, Ask(turn.call, turn.peer, turn.message.method, changed=params))


async def reached(asking: Awaitable[T]) -> T:
    """What a server answers. Raises RpcError where it cannot be reached."""
    try:
        return await asking
    except UpstreamError as exc:
        raise RpcError(jsonrpc.INTERNAL_ERROR, f"The server could not be reached: {plainly(exc)}.") from exc


async def asked(turn: Turn, server: Server, ask: Ask) -> Answer:
    """A request passed on as it is."""
    turn.server = server.name
    answer = await reached(server.upstream.ask(ask, turn))
    if not answer.result:
        return Answer(b"", answer.error)
    if answer.modern == turn.peer.modern:
        return answer
    return Answer(incoming(ask.method, answer.result, modern_client=turn.peer.modern))
