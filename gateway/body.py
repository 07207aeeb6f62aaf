"""The request's body: read once, bounded, replayed to whoever is inside."""

from __future__ import annotations

from msgspec import Struct

from gateway.call import Call
from gateway.errors import BadRequest, ClientGone
from gateway.types import Message, Receive, Scope


class Bound(Struct, frozen=True):
    """How large a body may be, and who says so."""

    bytes: int = 32 * 1024 * 1024
    whose: str = "this gateway"

    def exceeded(self) -> BadRequest:
        text = f"the request body is larger than {self.whose} accepts ({self.bytes} bytes)"
        return BadRequest(text, status=413)


async def read(scope: Scope, receive: Receive) -> bytes:
    """The whole body, kept on the call: the second reader gets it from there. The outermost app may put its `Bound` into
    the scope."""
    call = Call.of(scope)
    if call.body is None:
        bound: Bound = scope["state"].get("gateway.bound") or DEFAULT
        declared = call.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > bound.bytes:
            raise bound.exceeded()
        message = await receive()
        first = _part(message)
        whole = not message.get("more_body", False) and len(first) <= bound.bytes
        call.body = first if whole else await _drain(message, first, receive, bound)
    return call.body


async def _drain(message: Message, first: bytes, receive: Receive, bound: Bound) -> bytes:
    limit, parts, size = bound.bytes, [first], len(first)
    while message.get("more_body", False):
        if size > limit:
            raise bound.exceeded()
        message = await receive()
        parts.append(_part(message))
        size += len(parts[-1])
    if size > limit:
        raise bound.exceeded()
    return b"".join(parts)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone("the client left before its request was complete")
    return message.get("body", b"")  # type: ignore[no-any-return]


DEFAULT = Bound()


def readable(call: Call) -> None:
    """Raises BadRequest where a body that has to be understood comes packed: nothing here would know what it asks for."""
    encoding = call.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise BadRequest(
            f"content-encoding {encoding[:64]!r} is not read here, only a plain body (identity)", status=415
        )


class Replay(Struct, eq=False):
    """A `receive` that tells the call's body again, as it is then, and goes on with the real one, so that a disconnect is
    heard. However many layers have read the body, one of these is enough."""

    _call: Call
    _receive: Receive
    _told: bool = False

    async def __call__(self) -> Message:
        if self._told or self._call.body is None:
            return await self._receive()
        self._told = True
        return {"type": "http.request", "body": self._call.body, "more_body": False}
