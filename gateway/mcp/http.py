"""A streamable-HTTP upstream of either era: connections and sessions are reused, answers are read as they come.

A server of both eras is spoken to in its client's, so that nothing of either needs a bridge.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Coroutine, Mapping
from functools import partial
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.errors import UpstreamClosed, UpstreamError
from gateway.mcp import eras, jsonrpc
from gateway.mcp.address import Address
from gateway.mcp.answers import Reader, streams
from gateway.mcp.hearing import Hearing
from gateway.mcp.jsonrpc import Message
from gateway.mcp.meeting import Meeting
from gateway.mcp.peer import Peer
from gateway.mcp.resume import hop_id
from gateway.mcp.sessions import JSON, Session, Sessions
from gateway.mcp.upstream import (
    DISCOVER,
    GATEWAY,
    Answer,
    Ask,
    BadStatus,
    Credential,
    Ear,
    Hello,
    declined,
    outgoing,
)
from gateway.net.client import Client, Response, header

RESUMES = 100
_LONGEST_RETRY = 10_000  # milliseconds


class HttpUpstream:
    """`auth` adds the gateway's own credential, `forward` names headers of the caller that go along.

    `per_caller` keeps sessions and lists of different principals apart, where the credential is the caller's.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        client: Client,
        forward: Collection[str] = (),
        auth: Credential | None = None,
        per_caller: bool = False,
        timeout: float = 30.0,
    ) -> None:
        self.name = name
        self.per_caller = per_caller
        self._address = Address(url, client, forward=forward, auth=auth, timeout=timeout)
        self._reader = Reader(name, timeout)
        self._sessions = Sessions(name, per_caller=per_caller)
        self._ids = itertools.count(1)
        self._meeting = Meeting[Hello]()
        self._hello: Hello | None = None
        self._legacy_hello: Hello | None = None
        self._modern_only = False

    # -- getting to know each other

    async def hello(self, call: Call, peer: Peer) -> Hello:
        hello = await self._known(call)
        if self._speaks_modern(peer):
            return hello
        return self._legacy_hello or hello

    async def _known(self, call: Call) -> Hello:
        return self._hello or await self._meeting.shared(lambda: self._greet(call))

    def _speaks_modern(self, peer: Peer) -> bool:
        return self._hello is not None and self._hello.modern and self.name not in peer.handles

    async def _greet(self, call: Call) -> Hello:
        hello = await self._discover(call)
        if hello is None:
            self._sessions.put(call, Peer(), await self._initialize(call, Peer()))
            hello = self._legacy_hello
            assert hello is not None
        self._hello = hello
        return hello

    async def _discover(self, call: Call) -> Hello | None:
        """What a modern server says of itself; None where the server is not one."""
        body = jsonrpc.request(b"0", "server/discover", DISCOVER)
        response = await self._address.send(call, "POST", [*JSON, *eras.mirrors("server/discover", "")], body)
        try:
            return Hello.of_discover(await self._reader.answer(response, b"0"))
        except BadStatus as exc:
            if exc.status >= 500 or exc.status in {401, 403, 408, 429}:
                raise
            return None
        finally:
            response.close()

    async def _initialize(self, call: Call, peer: Peer) -> Session:
        params = {
            "protocolVersion": peer.version if peer.session else eras.LEGACY[0],
            "capabilities": peer.capabilities if peer.session else {},
            "clientInfo": peer.info or GATEWAY,
        }
        body = jsonrpc.request(b"0", "initialize", orjson.dumps(params))
        response = await self._address.send(call, "POST", JSON, body)
        try:
            message = await self._reader.answer(response, b"0")
            ident = header(response.headers, b"mcp-session-id").decode("latin-1")
        finally:
            response.close()
        self._legacy_hello = Hello.of_initialize(message)
        session = Session(ident, self._legacy_hello.version)
        await self._post(call, session, jsonrpc.notification("notifications/initialized"))
        return session

    async def join(self, call: Call, peer: Peer) -> str:
        hello = await self._known(call)
        shared = self._sessions.get(call, Peer())
        if self._modern_only or (shared is not None and not shared.id and not peer.capabilities):
            return ""
        try:
            return (await self._initialize(call, peer)).handle
        except UpstreamError:
            if not hello.modern:
                raise
            self._modern_only = True
            return ""

    async def leave(self, call: Call, peer: Peer) -> None:
        session = self._sessions.pop(call, peer)
        if session is not None and session.id:
            (await self._address.send(call, "DELETE", session.posting, b"")).close()

    # -- asking

    def ask(self, ask: Ask, ear: Ear) -> Coroutine[Any, Any, Answer]:
        if self._hello is None:
            return self._ask_first(ask, ear)
        modern = self._hello.modern and self.name not in ask.peer.handles
        return self._ask_modern(ask, ear) if modern else self._ask_legacy(ask, ear)

    async def _ask_first(self, ask: Ask, ear: Ear) -> Answer:
        await self._known(ask.call)
        return await self.ask(ask, ear)

    async def _ask_legacy(self, ask: Ask, ear: Ear) -> Answer:
        own, number = self.name in ask.peer.handles, next(self._ids)
        ident = hop_id(ask.ident) if own and ask.ident else b"%d" % number
        body = jsonrpc.request(ident, ask.method, outgoing(ask, None if own else number, modern=False))
        try:
            session = self._sessions.get(ask.call, ask.peer) or await self._session(ask.call, ask.peer)
            response = await self._address.send(ask.call, "POST", session.posting, body)
            if response.status == 404 and session.id:
                session, response = await self._begun_again(ask, body, response)
            try:
                if streams(response):
                    message = await self._answered(response, ident, self._hearing(ask, session, ear))
                else:
                    message = await self._reader.whole(response)
            finally:
                response.close()
        except asyncio.CancelledError:
            await self._cancel(ask, ident)
            raise
        return Answer(message.result, message.error)

    async def _begun_again(self, ask: Ask, body: bytes, refused: Response) -> tuple[Session, Response]:
        """The upstream has forgotten the session."""
        refused.close()
        session = await self._initialize(ask.call, ask.peer)
        self._sessions.put(ask.call, ask.peer, session)
        return session, await self._address.send(ask.call, "POST", session.posting, body)

    def _hearing(self, ask: Ask, session: Session, ear: Ear) -> Hearing:
        own = self.name in ask.peer.handles and bool(ask.ident)
        return Hearing(ear, ask, session, own, partial(self._decline, ask.call, session))

    async def _cancel(self, ask: Ask, ident: bytes) -> None:
        """A modern client cancels by leaving, which a legacy server must be told."""
        session = self._sessions.get(ask.call, ask.peer)
        if ask.peer.modern and session is not None:
            with contextlib.suppress(UpstreamError):
                await self._post(ask.call, session, _cancelled(ident))

    async def _ask_modern(self, ask: Ask, ear: Ear) -> Answer:
        number = next(self._ids)
        body = jsonrpc.request(b"%d" % number, ask.method, outgoing(ask, number, modern=True))
        headers = [*JSON, *eras.mirrors(ask.method, ask.name), *ask.headers]
        response = await self._address.send(ask.call, "POST", headers, body)
        try:
            message = await self._reader.answer(response, b"%d" % number, ear)
        finally:
            response.close()
        if not message.result and not message.error:
            raise UpstreamClosed(f"server {self.name!r} ended its stream without an answer")
        return Answer(message.result, message.error, True)

    async def _answered(self, response: Response, ident: bytes, hearing: Hearing) -> Message:
        """A client of that era that has its own session polls by itself; others are spared a stream that breaks."""
        message = await self._reader.answer(response, ident, hearing)
        resumed = 0
        while not message.result and not message.error and not (hearing.own and hearing.last):
            resumed += 1
            if not hearing.last or resumed > RESUMES:
                raise UpstreamClosed(f"server {self.name!r} ended its stream without an answer")
            await asyncio.sleep(min(hearing.retry, _LONGEST_RETRY) / 1000)
            again = await self._reopen(hearing.ask.call, hearing.session, hearing.last)
            try:
                message = await self._reader.answer(again, ident, hearing)
            finally:
                again.close()
        return message

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        await self._known(call)
        if not self._speaks_modern(peer):
            await self._post(call, await self._session(call, peer), message)

    async def _decline(self, call: Call, session: Session, message: Message) -> None:
        """A request of the server that no client of ours can be asked."""
        with contextlib.suppress(UpstreamError):
            await self._post(call, session, declined(message))

    # -- listening

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        await self._known(call)
        if self._speaks_modern(peer):
            await self._subscribe(call, peer, wanted, ear)
            return
        session = await self._session(call, peer)
        response = await self._reopen(call, session, after)
        try:
            if response.status == 200:
                await self._reader.events(response, b"", ear, None)
        finally:
            response.close()

    async def _subscribe(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear) -> None:
        number = b"%d" % next(self._ids)
        ask = Ask(call, peer, "subscriptions/listen", changed={"notifications": Raw(orjson.dumps(wanted))})
        body = jsonrpc.request(number, ask.method, outgoing(ask, None, modern=True))
        response = await self._address.send(call, "POST", [*JSON, *eras.mirrors(ask.method, "")], body)
        try:
            if header(response.headers, b"content-type").startswith(b"text/event-stream"):
                await self._reader.events(response, number, ear, None)
        finally:
            response.close()

    async def close(self) -> None:
        await self._meeting.close()  # the client belongs to whoever made it

    # -- the wire

    async def _session(self, call: Call, peer: Peer) -> Session:
        session = self._sessions.get(call, peer)
        if session is None:
            session = await self._sessions.begun(call, peer, lambda: self._initialize(call, peer))
        return session

    async def _post(self, call: Call, session: Session, message: bytes) -> None:
        response = await self._address.send(call, "POST", session.posting, message)
        response.close()
        if response.status >= 400:
            raise BadStatus(self.name, response.status)

    async def _reopen(self, call: Call, session: Session, after: str) -> Response:
        """The server's own stream, or the rest of one that it closed to be polled."""
        last = [(b"last-event-id", after.encode("latin-1", "replace"))] if after else []
        return await self._address.send(call, "GET", [*session.reading, *last], b"")


def _cancelled(ident: bytes) -> bytes:
    params = b'{"requestId":' + ident + b',"reason":"the client left"}'
    return jsonrpc.notification("notifications/cancelled", params)
