"""Event ids that say by themselves where a broken stream goes on: at which server, after what, for which request.

Sealed for one principal: what a client is told after it came back must be judged by the rules of what it had asked.
"""

from __future__ import annotations

import msgspec

from gateway.call import Call
from gateway.mcp.seal import Broken, Seal

_TTL = 3600.0
_OURS = b'"c'


class Place(msgspec.Struct, frozen=True):
    """`method` and `exposed` are those of the request whose stream it was; "" for what a server said by itself."""

    server: str
    event: str
    method: str = ""
    exposed: str = ""


def seal(sealer: Seal, call: Call, place: Place) -> str:
    value = [place.server, place.event, place.method, place.exposed]
    return sealer.seal(value, purpose=_purpose(call), ttl=_TTL)


def unseal(sealer: Seal, call: Call, text: str) -> Place | None:
    try:
        server, event, method, exposed = sealer.open(text, purpose=_purpose(call))
    except (Broken, TypeError, ValueError):
        return None
    return Place(server, event, method, exposed)


def _purpose(call: Call) -> str:
    return f"event\0{call.principal.id}"


def hop_id(ident: bytes) -> bytes:
    """The client's own id on the way to a session that only this client has: any instance can lead the answer back."""
    return _OURS + ident.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def client_id(hop: bytes) -> bytes:
    """b"" where the id was not made by `hop_id`."""
    if not hop.startswith(_OURS):
        return b""
    return hop[2:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
