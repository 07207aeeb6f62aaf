"""Every tool behind one MCP endpoint, in both eras of the protocol, as a pure ASGI app."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Collection, Sequence
from typing import Literal

from gateway import __version__
from gateway import body as bodies
from gateway.call import Call
from gateway.errors import BadRequest, ClientGone, ConfigError, Refused
from gateway.known import Known
from gateway.mcp import eras, jsonrpc
from gateway.mcp import peer as peers
from gateway.mcp import pins as pinning
from gateway.mcp import status as statuses
from gateway.mcp.bounds import Bounds
from gateway.mcp.catalog import Catalog
from gateway.mcp.doors import Doors
from gateway.mcp.jsonrpc import Message, RpcError
from gateway.mcp.methods import CANCELLED, Methods
from gateway.mcp.names import Mode
from gateway.mcp.peer import Peer
from gateway.mcp.pins import Pins
from gateway.mcp.seal import Seal
from gateway.mcp.server import Server
from gateway.mcp.sight import Sight
from gateway.mcp.turn import NONE, Turn
from gateway.mcp.wire import LATE, Watch, Wire
from gateway.net.late import Late
from gateway.refusals import Refusal, invalid, send_refusal
from gateway.stores.protocols import Documents
from gateway.types import Headers, Receive, Scope, Send

HINT = (
    "This is an MCP endpoint. Send JSON-RPC with POST and `Accept: application/json, text/event-stream`, "
    'for example {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}.'
)


class MCPApp:
    """Federates `servers` behind one endpoint.

        app = MCPApp([Server(HttpUpstream("math", "http://127.0.0.1:8000/mcp", client=pool))])

    `prefix`: auto | always | never. `pins`: off | trust-first | approve, kept in `store`. `disclosure`: list | search. `seal_key`: at least 32 bytes, the same on every instance (random without one).
    `streaming=False` where responses are buffered on their way, as on Lambda. `origins` and `hosts` are those that may be
    named by a browser; `*` in `hosts` allows any.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        prefix: Mode = "auto",
        pins: pinning.Mode = "off",
        disclosure: Literal["list", "search"] = "list",
        store: Documents | None = None,
        seal_key: bytes | None = None,
        name: str = "asgi-gateway",
        version: str = __version__,
        route: str = "",
        streaming: bool = True,
        list_timeout: float = 5.0,
        session_ttl: float = peers.TTL,
        origins: Collection[str] = (),
        hosts: Collection[str] = (),
    ) -> None:
        self.catalog = Catalog(servers, prefix=prefix, deadline=list_timeout)
        seal = Seal(seal_key or secrets.token_bytes(32), nonce=lambda: os.urandom(12))
        self._peers = peers.Peers(seal, route=route, ttl=session_ttl)
        self._doors = Doors(origins, hosts)
        self._streaming = streaming
        self._late = Late(LATE)
        if pins != "off" and store is None:
            raise ConfigError(f"pins: {pins} needs a store")
        bounds = Bounds(self.catalog.servers)
        sight = Sight(bounds, Pins(store, mode=pins) if pins != "off" and store is not None else None)
        self._methods = Methods(
            self.catalog,
            sight,
            bounds,
            seal,
            name=name,
            version=version,
            streaming=streaming,
            searching=disclosure == "search",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = Call.of(scope)
        call.dialect = "mcp"
        refusal = self._doors.refuse(call, scope)
        if refusal is not None:
            await send_refusal(call, refusal, send)
            return
        try:
            if call.verb == "POST":
                await self._post(call, scope, receive, send)
            else:
                await self._other(call, receive, send)
        except BadRequest as exc:
            await send_refusal(call, invalid(str(exc), status=exc.status), send)
        except Refused as exc:
            await send_refusal(call, exc.refusal, send)
        except RpcError as exc:
            await _send_error(exc, send)
        except ClientGone:
            return

    async def warm(self) -> None:
        """Connect to all servers now, so that the first client need not wait."""
        await statuses.warm(self.catalog, _nobody())

    async def status(self) -> list[statuses.Status]:
        """How each server does at this moment."""
        return await statuses.ask(self.catalog, _nobody())

    def end_streams(self) -> None:
        """Completes the streams that have no end of their own, so that a gateway that ends need not wait for clients."""
        self._methods.listening.end()

    async def close(self) -> None:
        """Ends what was started: the programs of stdio servers."""
        self.end_streams()
        self.catalog.listings.close()
        await asyncio.gather(*(server.upstream.close() for server in self.catalog.servers.values()))

    async def _other(self, call: Call, receive: Receive, send: Send) -> None:
        if call.verb == "DELETE":
            await self._delete(call, send)
        elif call.verb == "GET" and self._streaming and "mcp-session-id" in call.headers:
            await self._get(call, receive, send)
        else:
            refusal = Refusal(405, "invalid_request_error", HINT, headers=(("allow", "POST, DELETE"),))
            await send_refusal(call, refusal, send)

    async def _post(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        bodies.readable(call)
        messages, batch = jsonrpc.read_client(await bodies.read(scope, receive))
        first: Message = messages[0]
        headers: Headers = scope["headers"]
        peer = self._peer(call, first, batch, headers)
        own: Headers = []
        if peer is None:
            peer, own = await self._begin(call, first)
        wire = Wire(send, own, self._streaming and _takes_streams[call.headers.get("accept", "")])
        if first.is_request and not batch:
            await self._watched(call, wire, receive, self._answer(call, peer, first, wire, headers))
        else:
            wire.batch = batch
            await self._several(call, peer, messages, wire, headers, receive)

    async def _several(
        self,
        call: Call,
        peer: Peer,
        messages: Sequence[Message],
        wire: Wire,
        headers: Headers,
        receive: Receive,
    ) -> None:
        """A batch, or what wants no answer."""
        requests = [message for message in messages if message.is_request]
        wire.expected = len(requests)
        for message in messages:
            if not message.is_request:
                await self._methods.told(call, peer, message)
        if not requests:
            await wire.finish(202)
        else:
            answers = asyncio.gather(*(self._answer(call, peer, each, wire, headers) for each in requests))
            await self._watched(call, wire, receive, answers)

    async def _get(self, call: Call, receive: Receive, send: Send) -> None:
        peer = self._peers.legacy(call, call.headers.get("mcp-protocol-version", ""))
        wire = Wire(send, [], streaming=True)
        after = call.headers.get("last-event-id", "")
        await self._watched(call, wire, receive, self._methods.listening.stream(call, peer, wire, after))

    async def _watched(self, call: Call, wire: Wire, receive: Receive, work: Awaitable[object]) -> None:
        """The work ends when the client leaves, and what it asked upstream ends with it."""
        task = asyncio.current_task()
        assert task is not None
        watch = Watch(receive, wire, task)
        call.abort = watch.leave
        if self._streaming:  # what is buffered is never left early
            self._late.add(watch, task.get_loop())
        try:
            await work
        except asyncio.CancelledError as exc:
            cancelled = CANCELLED in exc.args
            if not watch.gone and not cancelled:
                raise
            task.uncancel()
            if cancelled or call.stopped is not None:
                await wire.stop(call.stopped)
                return
            raise ClientGone("the client left") from None
        finally:
            call.abort = None
            self._late.remove(watch)
            watch.stop()

    async def _answer(self, call: Call, peer: Peer, message: Message, wire: Wire, headers: Headers) -> None:
        policies = call.policies or NONE
        turn = Turn(wire, call, peer, self._methods.interpreter, message, policies=policies, headers=headers)
        try:
            answer = await self._methods.serve(turn)
        except Refused as exc:
            if not wire.shared:
                raise  # an OAuth challenge is HTTP's to make, where the response is this request's alone
            error = jsonrpc.error_value(-31000 - exc.refusal.status, exc.refusal.message)
            await wire.answer(jsonrpc.error(message.id, error))
        except RpcError as exc:
            error = jsonrpc.error_value(exc.code, exc.message, exc.data)
            await wire.answer(jsonrpc.error(message.id, error), status=_status(peer, exc.code))
        else:
            if answer.result:
                await wire.answer(jsonrpc.result(message.id, answer.result))
            elif answer.error:
                status = _status(peer, _code(answer.error))
                await wire.answer(jsonrpc.error(message.id, answer.error), status=status)
            else:
                await wire.finish()  # the upstream closed its stream, to be resumed with the last event id

    def _peer(self, call: Call, first: Message, batch: bool, headers: Headers) -> Peer | None:
        """Who speaks; None where a session begins."""
        version = call.headers.get("mcp-protocol-version", "")
        if batch:
            if eras.is_modern({}, version):
                raise RpcError(jsonrpc.INVALID_REQUEST, f"{eras.MODERN} has no batches")
            return self._peers.legacy(call, version)
        if eras.is_modern(first.tree, version):
            return peers.modern(first, headers, version)
        if first.method != "initialize":
            return self._peers.legacy(call, version)
        if "mcp-session-id" in call.headers:
            self._peers.legacy(call, "")  # who names a session that has ended is told so
        return None

    async def _begin(self, call: Call, message: Message) -> tuple[Peer, Headers]:
        asked = message.tree.get("protocolVersion")
        version = asked if asked in eras.LEGACY else eras.LEGACY[0]
        # Without a stream no server can ask the client anything.
        offered = message.tree.get("capabilities") if self._streaming else {}
        peer = await self._methods.join(call, peers.fresh(version, message.tree.get("clientInfo"), offered))
        return peer, [(b"mcp-session-id", self._peers.seal(call, peer).encode())]

    async def _delete(self, call: Call, send: Send) -> None:
        peer = self._peers.legacy(call, "")
        self._peers.end(peer)
        await self._methods.leave(call, peer)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def _nobody() -> Call:
    """The call under which the gateway asks on its own account."""
    return Call.new({"type": "http", "path": "", "headers": []})


def _status(peer: Peer, code: int) -> int:
    return eras.STATUS.get(code, 200) if peer.modern else 200


def _code(error: bytes) -> int:
    raw = bytes(jsonrpc.members(error).get("code", b"0"))
    return int(raw) if raw.lstrip(b"-").isdigit() else 0


async def _send_error(exc: RpcError, send: Send) -> None:
    body = jsonrpc.error(exc.id, jsonrpc.error_value(exc.code, exc.message, exc.data))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": eras.STATUS.get(exc.code, 400), "headers": headers})
    await send({"type": "http.response.body", "body": body})


# A client that says what it accepts, and leaves event streams out, gets none.
_takes_streams: Known[str, bool] = Known(
    lambda accept: not accept or "text/event-stream" in accept or "*/*" in accept
)
