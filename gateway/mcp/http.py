"""A streamable-HTTP upstream of either era: connections and sessions are reused, answers are read as they come."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from msgspec import Raw

from gateway import sse
from gateway.call import Call
from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.jsonrpc import Message
from gateway.mcp.peer import Peer
from gateway.mcp.upstream import Answer, Ask, BadStatus, Credential, Ear, Hello, is_answer, outgoing
from gateway.net.client import Client, Response, Timeouts, header
from gateway.types import Headers

GATEWAY = {"name": "asgi-gateway", "version": "1"}
_JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
]
_SESSIONS = 4096
_LONG = 86400.0
_PATIENCE = 600.0  # while the client's human is being asked


@dataclass(frozen=True, slots=True)
class _Session:
    """A legacy session at the upstream; without an id where the upstream keeps none."""

    id: str
    version: str

    def headers(self) -> Headers:
        named = [(b"mcp-session-id", self.id.encode("latin-1"))] if self.id else []
        return [*_JSON, (b"mcp-protocol-version", self.version.encode()), *named]


class HttpUpstream:
    """`auth` adds the gateway's own credential. `per_caller` keeps the sessions of different principals apart."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        client: Client,
        headers: Headers | None = None,
        auth: Credential | None = None,
        per_caller: bool = False,
        timeout: float = 30.0,
        legacy: bool = False,
    ) -> None:
        self.name = name
        self._url = url
        self._client = client
        self._headers = headers or []
        self._auth = auth
        self.per_caller = per_caller
        self._timeout = timeout
        self._legacy = legacy
        self._hello: Hello | None = None
        self._legacy_hello: Hello | None = None
        self._modern_only = False
        self._greeting: asyncio.Lock | None = None
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._ids = itertools.count(1)
        self._timeouts = Timeouts(connect=min(10.0, timeout), first_byte=timeout, idle=_LONG, total=_LONG)

    # -- getting to know each other

    async def hello(self, call: Call, peer: Peer) -> Hello:
        hello = await self._known(call)
        if hello.modern and not self._speaks_modern(peer):
            return self._legacy_hello or hello
        return hello

    async def _known(self, call: Call) -> Hello:
        if self._hello is None:
            self._greeting = self._greeting or asyncio.Lock()
            async with self._greeting:
                if self._hello is None:
                    self._hello = await self._greet(call)
        return self._hello

    def _speaks_modern(self, peer: Peer) -> bool:
        """A server of both eras is spoken to in the client's, so that nothing needs a bridge."""
        return self._hello is not None and self._hello.modern and self.name not in peer.handles

    async def _greet(self, call: Call) -> Hello:
        modern = None if self._legacy else await self._discover(call)
        if modern is not None:
            return modern
        session = await self._initialize(call, Peer())
        self._remember(self._key(call, Peer()), session)
        assert self._legacy_hello is not None
        return self._legacy_hello

    async def _discover(self, call: Call) -> Hello | None:
        """What a modern server says of itself; None where the server is not one."""
        meta = {eras.VERSION: eras.MODERN, eras.CLIENT_INFO: GATEWAY, eras.CAPABILITIES: {}}
        body = jsonrpc.request(b"0", "server/discover", orjson.dumps({"_meta": meta}))
        try:
            message = await self._exchange(call, [*_JSON, *eras.mirrors("server/discover", "")], body)
        except BadStatus as exc:
            if exc.status >= 500 or exc.status in {401, 403, 408, 429}:
                raise
            return None
        if message.error:
            code = orjson.loads(message.error).get("code")
            return Hello(True, eras.MODERN) if code in eras.RECOGNISED else None
        result = orjson.loads(message.result)
        if eras.MODERN not in result.get("supportedVersions", ()):
            return None
        info = (result.get("_meta") or {}).get(eras.SERVER_INFO) or result.get("serverInfo") or {}
        return Hello(
            True, eras.MODERN, result.get("capabilities") or {}, info, result.get("instructions") or ""
        )

    async def _initialize(self, call: Call, peer: Peer) -> _Session:
        version = peer.version if peer.session else eras.LEGACY[0]
        params = {
            "protocolVersion": version,
            "capabilities": peer.capabilities if peer.session else {},
            "clientInfo": peer.info or GATEWAY,
        }
        body = jsonrpc.request(b"0", "initialize", orjson.dumps(params))
        response = await self._send(call, "POST", _JSON, body)
        try:
            message = await self._read_answer(response, b"0")
            session_id = header(response.headers, b"mcp-session-id").decode("latin-1")
        finally:
            response.close()
        if message.error:
            raise UpstreamError(f"server {self.name!r} refused to initialize: {message.error[:200]!r}")
        result = orjson.loads(message.result)
        agreed = str(result.get("protocolVersion") or eras.ASSUMED)
        session = _Session(session_id, agreed)
        await self._post(call, session, jsonrpc.notification("notifications/initialized"))
        self._legacy_hello = Hello(
            False,
            agreed,
            result.get("capabilities") or {},
            result.get("serverInfo") or {},
            result.get("instructions") or "",
        )
        return session

    # -- sessions of legacy clients

    async def join(self, call: Call, peer: Peer) -> str:
        hello = await self._known(call)
        shared = self._sessions.get(self._key(call, Peer()))
        if self._modern_only or (shared is not None and not shared.id and not peer.capabilities):
            return ""
        try:
            session = await self._initialize(call, peer)
        except UpstreamError:
            if not hello.modern:
                raise
            self._modern_only = True
            return ""
        return f"{session.version} {session.id}"

    async def leave(self, call: Call, peer: Peer) -> None:
        session = self._sessions.pop(self._key(call, peer), None) or self._handle(peer)
        if session is not None and session.id:
            response = await self._send(call, "DELETE", session.headers(), b"")
            response.close()

    def _key(self, call: Call, peer: Peer) -> str:
        return f"{call.principal.id if self.per_caller else ''}\0{peer.session}"

    def _handle(self, peer: Peer) -> _Session | None:
        version, _, ident = peer.handles.get(self.name, "").partition(" ")
        return _Session(ident, version) if version else None

    async def _session(self, call: Call, peer: Peer) -> _Session:
        key = self._key(call, peer)
        session = self._sessions.get(key) or self._handle(peer)
        if session is None:
            session = await self._initialize(call, peer)
            self._remember(key, session)
        return session

    def _remember(self, key: str, session: _Session) -> None:
        self._sessions[key] = session
        self._sessions.move_to_end(key)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)

    # -- asking

    async def ask(self, ask: Ask, ear: Ear) -> Answer:
        await self._known(ask.call)
        modern = self._speaks_modern(ask.peer)
        number = next(self._ids)
        body = jsonrpc.request(b"%d" % number, ask.method, outgoing(ask, number, modern=modern))
        if modern:
            headers = [*_JSON, *eras.mirrors(ask.method, ask.name), *ask.headers]
            response = await self._send(ask.call, "POST", headers, body)
        else:
            response = await self._ask_legacy(ask, body)
        try:
            message = await self._read_answer(response, b"%d" % number, ear)
        finally:
            response.close()
        return Answer(message.result, message.error, modern)

    async def _ask_legacy(self, ask: Ask, body: bytes) -> Response:
        session = await self._session(ask.call, ask.peer)
        response = await self._send(ask.call, "POST", session.headers(), body)
        if response.status != 404 or not session.id:
            return response
        response.close()  # the upstream has forgotten the session: begin another one, once
        session = await self._initialize(ask.call, ask.peer)
        self._remember(self._key(ask.call, ask.peer), session)
        return await self._send(ask.call, "POST", session.headers(), body)

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        await self._known(call)
        if not self._speaks_modern(peer):
            await self._post(call, await self._session(call, peer), message)

    async def _post(self, call: Call, session: _Session, message: bytes) -> None:
        response = await self._send(call, "POST", session.headers(), message)
        try:
            if response.status >= 400:
                raise BadStatus(self.name, response.status)
        finally:
            response.close()

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        await self._known(call)
        if self._speaks_modern(peer):
            await self._subscribe(call, peer, wanted, ear)
            return
        session = await self._session(call, peer)
        headers = [(b"accept", b"text/event-stream"), *session.headers()[2:]]
        if after:
            headers.append((b"last-event-id", after.encode()))
        response = await self._send(call, "GET", headers, b"")
        try:
            if response.status == 200:
                await self._events(response, b"", ear, None)
        finally:
            response.close()

    async def _subscribe(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear) -> None:
        number = b"%d" % next(self._ids)
        ask = Ask(call, peer, "subscriptions/listen", {"notifications": Raw(orjson.dumps(wanted))})
        if peer.modern:
            meta = {eras.VERSION: eras.MODERN, eras.CAPABILITIES: peer.capabilities}
            ask.params["_meta"] = Raw(orjson.dumps(meta))
        body = jsonrpc.request(number, ask.method, outgoing(ask, 0, modern=True))
        response = await self._send(call, "POST", [*_JSON, *eras.mirrors(ask.method, "")], body)
        try:
            if b"text/event-stream" in header(response.headers, b"content-type"):
                await self._events(response, number, ear, None)
        finally:
            response.close()

    async def close(self) -> None:
        """The client's pool belongs to whoever made it."""

    # -- the wire

    async def _exchange(self, call: Call, headers: Headers, body: bytes) -> Message:
        response = await self._send(call, "POST", headers, body)
        try:
            return await self._read_answer(response, b"0")
        finally:
            response.close()

    async def _send(self, call: Call, method: str, headers: Headers, body: bytes) -> Response:
        own = [*headers, *self._headers]
        if self._auth is not None:
            own += await self._auth.headers(call)
        return await self._client.send(method, self._url, headers=own, body=body, timeouts=self._timeouts)

    async def _read_answer(self, response: Response, ident: bytes, ear: Ear | None = None) -> Message:
        media = header(response.headers, b"content-type")
        if media.startswith(b"text/event-stream") and response.status == 200:
            return await self._events(response, ident, ear, self._timeout)
        if response.ended:
            body = await response.read()
        else:
            body = await self._in_time(response)
        try:
            message = jsonrpc.read_upstream(body)
        except ValueError:
            raise BadStatus(self.name, response.status) from None
        if not is_answer(message):
            raise BadStatus(self.name, response.status)
        return message

    async def _in_time(self, response: Response) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await response.read()
        except TimeoutError:
            raise UpstreamTimeout(f"server {self.name!r} stopped in the middle of its answer") from None

    async def _events(
        self, response: Response, ident: bytes, ear: Ear | None, timeout: float | None
    ) -> Message:
        """The answer to `ident`; an empty message where the stream was closed before, with a way to resume it."""
        splitter, resumable = sse.Splitter(), False
        try:
            async with asyncio.timeout(timeout) as deadline:
                while chunk := await response.chunk():
                    for frame in splitter.feed(chunk):
                        event = sse.parse(frame)
                        if event is None:
                            continue
                        message = _message(event)
                        if message.id == ident and is_answer(message):
                            return message
                        resumable = resumable or bool(event.id)
                        if timeout is not None:
                            patience = _PATIENCE if message.is_request else timeout
                            deadline.reschedule(asyncio.get_running_loop().time() + patience)
                        if ear is not None:
                            await ear.hear(message, event.id, event.retry)
        except TimeoutError:
            raise UpstreamTimeout(f"server {self.name!r} was silent for {timeout:g} s") from None
        except ValueError as exc:
            raise UpstreamError(f"server {self.name!r} sent what is no event stream: {exc}") from exc
        if not ident or resumable:
            return Message()
        raise UpstreamClosed(f"server {self.name!r} ended its stream without an answer")


def _message(event: sse.Event) -> Message:
    if not event.data:
        return Message()
    try:
        return jsonrpc.read_upstream(event.data)
    except ValueError:
        return Message()  # not a message: other events may stand in the same stream
