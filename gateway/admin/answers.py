"""What the admin port sends: files of the page, JSON, refusals, and a stream that lasts until the visitor leaves."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from typing import Any, Final

import orjson

from gateway.refusals import Refusal
from gateway.types import Headers, Receive, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY: Final[Headers] = [
    (b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
]  # fmt: skip


class Static:
    """A file of the page, read once."""

    def __init__(self, body: bytes, media: str) -> None:
        self.body = body
        self.etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        self.headers: Headers = [(b"content-type", media.encode()), (b"etag", self.etag.encode()),
                                 (b"cache-control", b"no-cache")]  # fmt: skip

    @classmethod
    def read(cls, name: str) -> Static:
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(files("gateway.admin").joinpath("static", name).read_bytes(), f"{media}; charset=utf-8")

    async def send(self, send: Send, headers: Mapping[str, str], verb: str) -> None:
        if headers.get("if-none-match") == self.etag:
            return await plain(send, 304, b"", self.headers)
        await plain(send, 200, b"" if verb == "HEAD" else self.body, self.headers)


async def plain(send: Send, status: int, body: bytes, headers: Headers) -> None:
    headers = [*SECURITY, *headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def json(send: Send, value: Any, headers: Headers | None = None) -> None:
    media: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    await plain(send, 200, body, [*media, *(headers or ())])


async def refuse(send: Send, refusal: Refusal) -> None:
    headers: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    body = {"error": {"type": refusal.kind, "message": refusal.message}}
    await plain(send, refusal.status, orjson.dumps(body), headers)


async def stream(send: Send, receive: Receive, events: AsyncIterator[bytes]) -> None:
    """Until the visitor leaves, which the server says through `receive`."""
    headers: Headers = [*SECURITY, (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_gone(receive))
    try:
        async for event in events:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
