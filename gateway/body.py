"""The request's body: read once, bounded, replayed to whoever is inside."""

from __future__ import annotations

from gateway.call import Call
from gateway.errors import BadRequest, ClientGone
from gateway.types import Message, Receive, Scope

LIMIT = 32 * 1024 * 1024


async def read(scope: Scope, receive: Receive, *, limit: int = LIMIT) -> bytes:
    """The whole body, kept on the call: the second reader gets it from there."""
    call = Call.of(scope)
    if call.body is None:
        declared = call.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        call.body = await _drain(receive, limit)
    return call.body


def too_large(limit: int) -> BadRequest:
    return BadRequest(f"the request body is larger than this gateway accepts ({limit} bytes)", status=413)


async def _drain(receive: Receive, limit: int) -> bytes:
    message = await receive()
    first: bytes = _part(message)
    if not message.get("more_body", False) and len(first) <= limit:
        return first
    parts, size = [first], len(first)
    while message.get("more_body", False):
        if size > limit:
            raise too_large(limit)
        message = await receive()
        parts.append(_part(message))
        size += len(parts[-1])
    if size > limit:
        raise too_large(limit)
    return b"".join(parts)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone("the client left before its request was complete")
    return message.get("body", b"")  # type: ignore[no-any-return]


class Replay:
    """A `receive` that tells the body again, and then goes on with the real one, so that a disconnect is heard."""

    __slots__ = ("_body", "_receive")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
