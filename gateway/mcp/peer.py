"""Who speaks on the client's side, as the protocol knows it: from a sealed session, or from one modern request."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.mcp import eras
from gateway.mcp.seal import Broken, Seal

TTL = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Peer:
    """`session` is "" where nothing is remembered between requests: the modern era, and clients without `initialize`."""

    version: str = eras.ASSUMED
    modern: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    log_level: str = ""
    session: str = ""
    handles: Mapping[str, str] = field(default_factory=dict)  # server → its own session id

    def can(self, capability: str) -> bool:
        return capability in self.capabilities


def modern(tree: Mapping[str, Any]) -> Peer:
    meta = tree["_meta"]
    level = meta.get(eras.LOG_LEVEL)
    return Peer(
        eras.MODERN,
        True,
        meta.get(eras.CLIENT_INFO) or {},
        meta[eras.CAPABILITIES],
        level if isinstance(level, str) else "",
    )


def fresh(version: str, info: Any, capabilities: Any) -> Peer:
    """The client of a new session, before any upstream knows of it."""
    return Peer(
        version,
        False,
        info if isinstance(info, Mapping) else {},
        capabilities if isinstance(capabilities, Mapping) else {},
        session=secrets.token_hex(8),
    )


def seal(sealer: Seal, peer: Peer, *, principal: str, route: str, ttl: float = TTL) -> str:
    value = [peer.version, peer.info, peer.capabilities, peer.session, peer.handles]
    return sealer.seal(value, purpose=_purpose(principal, route), ttl=ttl)


def unseal(sealer: Seal, text: str, *, principal: str, route: str) -> Peer:
    """Raises Broken, for another principal's session too."""
    value = sealer.open(text, purpose=_purpose(principal, route))
    try:
        version, info, capabilities, session, handles = value
    except (TypeError, ValueError) as exc:
        raise Broken("not a session") from exc
    return Peer(version, False, info, capabilities, "", session, handles)


def _purpose(principal: str, route: str) -> str:
    return f"session\0{route}\0{principal}"
