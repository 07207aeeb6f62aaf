"""Reading what an upstream answers over HTTP: one JSON message, or a stream of events with the answer among them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway import sse
from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Message
from gateway.mcp.upstream import BadStatus, Ear, is_answer
from gateway.net.client import Response, header

_JSON = (b"content-type", b"application/json")
PATIENCE = 600.0  # while the client's human is being asked


class Reader:
    """Reads for one server; `timeout` is how long it may be silent."""

    def __init__(self, server: str, timeout: float) -> None:
        self._server = server
        self._timeout = timeout

    async def answer(self, response: Response, ident: bytes, ear: Ear | None = None) -> Message:
        """The answer to `ident`; an empty message where the stream ended before."""
        if streams(response):
            return await self.events(response, ident, ear, self._timeout)
        return await self.whole(response)

    async def whole(self, response: Response) -> Message:
        body = response.take() if response.arrived else await self._rest(response)
        try:
            message = jsonrpc.read_upstream(body)
        except ValueError:
            raise BadStatus(self._server, response.status) from None
        if not is_answer(message):
            raise BadStatus(self._server, response.status)
        return message

    async def _rest(self, response: Response) -> bytes:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._timeout, response.close)
        try:
            return await response.read()
        except UpstreamClosed as exc:
            if loop.time() < timer.when():
                raise
            raise UpstreamTimeout(f"server {self._server!r} stopped in the middle of its answer") from exc
        finally:
            timer.cancel()

    async def events(
        self, response: Response, ident: bytes, ear: Ear | None, timeout: float | None
    ) -> Message:
        """With `ident` b"", whatever comes until the stream ends."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(timeout) as deadline:
                async for event in _events(response):
                    message = _message(event)
                    if ident and message.id == ident and is_answer(message):
                        return message
                    if timeout is not None:
                        deadline.reschedule(clock() + (PATIENCE if message.is_request else timeout))
                    if ear is not None:
                        with contextlib.suppress(jsonrpc.RpcError):  # a notification that is none
                            await ear.hear(message, event.id, event.retry)
        except TimeoutError:
            raise UpstreamTimeout(f"server {self._server!r} was silent for {timeout:g} s") from None
        except ValueError as exc:
            raise UpstreamError(f"server {self._server!r} sent what is no event stream: {exc}") from exc
        return Message()


def streams(response: Response) -> bool:
    """The answer is a stream of events, not one JSON message."""
    if _JSON in response.headers:  # as most say it
        return False
    return response.status == 200 and header(response.headers, b"content-type").startswith(
        b"text/event-stream"
    )


async def _events(response: Response) -> AsyncIterator[sse.Event]:
    splitter = sse.Splitter()
    while chunk := await response.chunk():
        for frame in splitter.feed(chunk):
            event = sse.parse(frame)
            if event is not None:
                yield event


def _message(event: sse.Event) -> Message:
    if not event.data:
        return Message()
    try:
        return jsonrpc.read_upstream(event.data)
    except ValueError:
        return Message()  # not a message: other events may stand in the same stream
