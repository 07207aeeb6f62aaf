"""Where a call comes from: read off the hops that the operator says are theirs, never off what a client writes."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable

# Set by us or by nobody: a copy that came from outside is removed before anything reads it.
INTERNAL = "x-gateway-"
KEY_HEADER = "x-gateway-key"


def address(peer: str, headers: Iterable[tuple[bytes, bytes]], *, hops: int, header: str = "") -> str:
    """The caller's address behind `hops` proxies.

    Each proxy appends whom it saw to X-Forwarded-For, so with n of them the n-th entry from the right was written by the
    outermost one; everything to its left is the client's own word. `header` names one that the platform overwrites instead
    (Fly's `fly-client-ip`). Where what should be there is not, the peer is the answer.
    """
    if hops <= 0 and not header:
        return peer
    name = (header or "x-forwarded-for").lower().encode()
    values = [value for key, value in headers if key == name]
    entries = b",".join(values).decode("latin-1").split(",") if values else []
    if header:
        return _valid(entries[0]) or peer if len(entries) == 1 else peer
    return _valid(entries[-hops]) or peer if len(entries) >= hops else peer


def _valid(text: str) -> str:
    """An address as one way of writing it, without the port that some proxies add."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def internal(names: Collection[str]) -> list[str]:
    """Those that only the gateway may set."""
    if INTERNAL not in "\n".join(names):
        return []
    return [name for name in names if name[:10] == INTERNAL and name != KEY_HEADER]
