"""Who speaks on the client's side, as the protocol knows it: from a sealed session, or from one modern request."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.call import Call
from gateway.errors import BadRequest
from gateway.mcp import eras, jsonrpc
from gateway.mcp.jsonrpc import Message, RpcError
from gateway.mcp.seal import Broken, Seal
from gateway.types import Headers

TTL = 7 * 86400.0
NO_SESSION = "no such session: it has ended, has expired or is not yours; send initialize"
_ENDED = 10_000


class Peer(Struct, frozen=True):
    """`session` is "" where nothing is remembered between requests: the modern era, and clients without `initialize`."""

    version: str = eras.ASSUMED
    modern: bool = False
    info: Mapping[str, Any] = {}
    capabilities: Mapping[str, Any] = {}
    log_level: str = ""
    session: str = ""
    handles: Mapping[str, str] = {}  # server → its own session id

    def can(self, capability: str) -> bool:
        return capability in self.capabilities


_WITHOUT_SESSION = {version: Peer(version) for version in eras.LEGACY}


def fresh(version: str, info: Any, capabilities: Any) -> Peer:
    """The client of a new session, before any upstream knows of it."""
    return Peer(
        version,
        False,
        info if isinstance(info, Mapping) else {},
        capabilities if isinstance(capabilities, Mapping) else {},
        session=secrets.token_hex(8),
    )


def modern(message: Message, headers: Headers, version: str) -> Peer:
    """Who sends this, in the modern era, after every rung of its ladder. Raises RpcError."""
    if not message.is_request:
        return Peer(eras.MODERN, True)
    try:
        eras.check(message.method, message.tree, headers, version)
    except RpcError as exc:
        exc.id = message.id
        raise
    meta = message.tree["_meta"]
    level = meta.get(eras.LOG_LEVEL)
    return Peer(
        eras.MODERN,
        True,
        meta.get(eras.CLIENT_INFO) or {},
        meta[eras.CAPABILITIES],
        level if isinstance(level, str) else "",
    )


class Peers:
    """The clients of one route, recognised by what they bring: nothing is kept for them here."""

    def __init__(self, seal: Seal, *, route: str, ttl: float) -> None:
        self._seal = seal
        self._route = route
        self._ttl = ttl
        self._ended: dict[str, None] = {}  # sessions that a DELETE ended here; elsewhere the upstreams know

    def legacy(self, call: Call, version: str) -> Peer:
        """By its session, where it names one. Raises BadRequest for one that is not (or no longer) its own."""
        if version and version not in eras.LEGACY:
            raise RpcError(
                jsonrpc.INVALID_REQUEST,
                f"unsupported MCP-Protocol-Version; supported: {', '.join(eras.SUPPORTED)}",
            )
        session = call.headers.get("mcp-session-id")
        if session is None:
            return _WITHOUT_SESSION[version or eras.ASSUMED]
        try:
            peer = self._unseal(call, session)
        except Broken as exc:
            raise BadRequest(NO_SESSION, status=404) from exc
        if peer.session in self._ended:
            raise BadRequest(NO_SESSION, status=404)
        return peer

    def end(self, peer: Peer) -> None:
        self._ended[peer.session] = None
        if len(self._ended) > _ENDED:
            self._ended.pop(next(iter(self._ended)))

    def seal(self, call: Call, peer: Peer) -> str:
        """The session id that the client brings back."""
        value = [peer.version, peer.info, peer.capabilities, peer.session, peer.handles]
        return self._seal.seal(value, purpose=self._purpose(call), ttl=self._ttl)

    def _unseal(self, call: Call, text: str) -> Peer:
        """Raises Broken, for another principal's session too."""
        value = self._seal.open(text, purpose=self._purpose(call))
        try:
            version, info, capabilities, session, handles = value
        except (TypeError, ValueError) as exc:
            raise Broken("not a session") from exc
        return Peer(version, False, info, capabilities, "", session, handles)

    def _purpose(self, call: Call) -> str:
        return f"session\0{self._route}\0{call.principal.id}"
