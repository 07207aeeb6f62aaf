"""What every upstream is, whatever its transport and era: it can be asked, told, listened to and closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from msgspec import Raw, Struct

from gateway.call import Call
from gateway.errors import GatewayError, UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.jsonrpc import Members, Message
from gateway.mcp.peer import Peer
from gateway.types import Headers

CACHEABLE = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read",
                       "server/discover"})  # fmt: skip
GATEWAY = {"name": "asgi-gateway", "version": "1"}
_LEFT_OUT = ("resultType", "ttlMs", "cacheScope")


class BadStatus(UpstreamError):
    """The upstream answered with an HTTP status that is no JSON-RPC answer."""

    def __init__(self, server: str, status: int) -> None:
        super().__init__(f"server {server!r} answered with HTTP status {status}")
        self.status = status


def plainly(exc: GatewayError) -> str:
    """What a client may know of a failure: nothing of where a server is, or of how it is started."""
    if isinstance(exc, UpstreamTimeout):
        return "it did not answer in time"
    if isinstance(exc, UpstreamClosed):
        return "it broke off" if exc.sent else "it cannot be reached"
    return str(exc)


class Credential(Protocol):
    """The gateway's own credential at an upstream; never the client's."""

    async def headers(self, call: Call) -> Headers: ...


@dataclass(frozen=True, slots=True)
class Hello:
    """What an upstream said of itself."""

    modern: bool
    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    instructions: str = ""

    @classmethod
    def of_initialize(cls, message: Message) -> Hello:
        """Raises UpstreamError where the server refuses."""
        result = _object(message.result)
        if not result:
            raise UpstreamError(f"refused to initialize: {message.error[:200].decode(errors='replace')}")
        version = str(result.get("protocolVersion") or eras.ASSUMED)
        return cls._of(result, result.get("serverInfo"), modern=False, version=version)

    @classmethod
    def of_discover(cls, message: Message) -> Hello | None:
        """None where the answer is not that of a modern server."""
        if _object(message.error).get("code") in eras.RECOGNISED:
            return cls(True, eras.MODERN)
        result = _object(message.result)
        versions = result.get("supportedVersions")
        if not isinstance(versions, list) or eras.MODERN not in versions:
            return None
        info = _mapping(result.get("_meta")).get(eras.SERVER_INFO)
        return cls._of(result, info, modern=True, version=eras.MODERN)

    @classmethod
    def _of(cls, result: Mapping[str, Any], info: Any, *, modern: bool, version: str) -> Hello:
        said = result.get("instructions")
        capabilities = _mapping(result.get("capabilities"))
        return cls(modern, version, capabilities, _mapping(info), said if isinstance(said, str) else "")


def _object(raw: bytes) -> Mapping[str, Any]:
    """What a server sent may be anything: {} where it is no object."""
    try:
        return _mapping(orjson.loads(raw)) if raw else {}
    except orjson.JSONDecodeError:
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


DISCOVER = orjson.dumps(
    {"_meta": {eras.VERSION: eras.MODERN, eras.CLIENT_INFO: GATEWAY, eras.CAPABILITIES: {}}}
)


DECLINED = jsonrpc.error_value(jsonrpc.METHOD_NOT_FOUND, "this client does not take requests")


def declined(message: Message) -> bytes:
    """The answer to a request of a server that no client can be asked."""
    if message.method == "ping":
        return jsonrpc.result(message.id, b"{}")
    return jsonrpc.error(message.id, DECLINED)


class Ask(Struct):
    """One request on its way to an upstream. Its parameters carry the upstream's own names."""

    call: Call
    peer: Peer
    method: str
    raw: bytes = b""  # the parameters as the client wrote them
    changed: Members | None = None  # the parameters, where they are not the client's
    name: str = ""  # what `Mcp-Name` mirrors
    headers: Headers = []  # `Mcp-Param-…`
    traceparent: str = ""
    ident: bytes = b""  # the client's own id
    tracked: bool = False  # the client wants to hear of the progress

    @property
    def params(self) -> Members:
        return jsonrpc.members(self.raw) if self.changed is None else self.changed


class Answer(Struct, frozen=True):
    """The end of a request. With neither result nor error the stream was closed to be resumed later."""

    result: bytes = b""
    error: bytes = b""
    modern: bool = False


class Ear(Protocol):
    """Hears what an upstream says before its answer."""

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        """A notification or a request of the server; an empty message where only an event id came."""


class Upstream(Protocol):
    name: str
    per_caller: bool  # what it answers depends on the caller's own credential

    async def hello(self, call: Call, peer: Peer) -> Hello:
        """What it says to this client, in the client's era where it speaks both. Raises UpstreamError."""

    async def join(self, call: Call, peer: Peer) -> str:
        """A client's new session begins: the handle that its further requests bring back, "" without one."""

    async def leave(self, call: Call, peer: Peer) -> None:
        """A client's session ends."""

    async def ask(self, ask: Ask, ear: Ear) -> Answer:
        """Raises UpstreamError."""

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        """A notification, or the client's answer to a request of the server."""

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        """What the server says on its own account, until it stops. `after` is the last event id that was heard."""

    async def close(self) -> None: ...


def outgoing(ask: Ask, token: int | None, *, modern: bool) -> bytes:
    """The parameters as the upstream's era wants them, untouched where nothing differs.

    Progress tokens are unique on each hop: the client's own is replaced by `token`, unless the session is its alone.
    """
    same = modern == ask.peer.modern and not ask.traceparent and (token is None or not ask.tracked)
    if same and ask.changed is None:
        return ask.raw
    params = ask.params
    raw = params.get("_meta")
    if not modern and not ask.traceparent and (raw is None or (token is None and not ask.peer.modern)):
        return jsonrpc.join(params) if params else b""
    meta = jsonrpc.members(bytes(raw)) if raw is not None else {}
    if "progressToken" in meta and token is not None:
        meta["progressToken"] = Raw(b"%d" % token)
    if ask.traceparent:
        meta["traceparent"] = Raw(orjson.dumps(ask.traceparent))
    if modern and eras.VERSION not in meta:
        meta |= _modern_meta(ask.peer)
    elif not modern and ask.peer.modern:
        meta = {key: value for key, value in meta.items() if not key.startswith(eras.RESERVED)}
    params = {**params, "_meta": Raw(jsonrpc.join(meta))}
    if not meta:
        del params["_meta"]
    return jsonrpc.join(params)


def _modern_meta(peer: Peer) -> Members:
    meta = {
        eras.VERSION: Raw(orjson.dumps(eras.MODERN)),
        eras.CAPABILITIES: Raw(orjson.dumps(peer.capabilities)),
    }
    if peer.info:
        meta[eras.CLIENT_INFO] = Raw(orjson.dumps(peer.info))
    if peer.log_level:
        meta[eras.LOG_LEVEL] = Raw(orjson.dumps(peer.log_level))
    return meta


def incoming(method: str, result: bytes, *, modern_client: bool) -> bytes:
    """A result of the other era, as the client's own wants it."""
    parts = jsonrpc.members(result)
    if modern_client:
        parts.setdefault("resultType", Raw(b'"complete"'))
        if method in CACHEABLE:
            parts.setdefault("ttlMs", Raw(b"0"))
            parts.setdefault("cacheScope", Raw(b'"private"'))
    else:
        for key in _LEFT_OUT:
            parts.pop(key, None)
    return jsonrpc.join(parts)


def is_answer(message: Message) -> bool:
    return not message.method and bool(message.result or message.error)
