"""The way back to one client: plain JSON while nothing comes before the answer, an event stream from then on."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from gateway import sse
from gateway.mcp import jsonrpc
from gateway.refusals import Refusal
from gateway.types import Headers, Receive, Send

PING = 15.0  # seconds of silence before a comment is sent
LATE = 0.25  # an answer that takes longer is watched for the client's leaving
_STREAM: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_JSON = (b"content-type", b"application/json")


class Wire(Struct, eq=False):
    """One HTTP response, to one request or to a batch of them."""

    send: Send
    headers: Headers
    streaming: bool  # False: whoever carries it would buffer a stream, so there is none
    batch: bool = False
    expected: int = 1  # answers
    answers: list[bytes] = []
    started: bool = False  # as a stream
    ended: bool = False

    @property
    def shared(self) -> bool:
        """The response is not (or no longer) this request's alone to begin."""
        return self.started or self.batch

    async def start(self) -> None:
        """Idempotent: from here on the response is a stream."""
        if not self.started:
            self.started = True
            head: Headers = [*_STREAM, *self.headers]
            await self.send({"type": "http.response.start", "status": 200, "headers": head})
            answers, self.answers = self.answers, []
            for answer in answers:
                await self._write(_event(answer))

    async def event(self, data: bytes, *, id: str = "", retry: int | None = None) -> None:
        await self.start()
        head = b"retry: %d\n" % retry if retry is not None else b""
        await self._write(head + _event(data, id=id))

    async def comment(self) -> None:
        await self._write(b": keep-alive\n\n")

    async def answer(self, body: bytes, *, status: int = 200) -> None:
        """One of the expected answers; the last one ends the response."""
        self.expected -= 1
        if self.started:
            await self._write(_event(body))
        elif not self.batch and not self.ended:
            return await self._whole(body, status)
        else:
            self.answers.append(body)
        if self.expected <= 0:
            await self.finish(status)

    async def finish(self, status: int = 200) -> None:
        """Ends the response with the answers that there are."""
        if self.ended:
            return
        if self.started:
            self.ended = True
            await self.send({"type": "http.response.body", "body": b""})
        else:
            await self._whole(b"[" + b",".join(self.answers) + b"]" if self.batch else b"", status)

    async def _whole(self, body: bytes, status: int) -> None:
        self.ended = True
        length = (b"content-length", b"%d" % len(body))
        head: Headers = [_JSON, length, *self.headers] if body else [length, *self.headers]
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self.send({"type": "http.response.body", "body": body})

    async def stop(self, refusal: Refusal | None) -> None:
        """Ends the response without an answer: it was cancelled, or (with a refusal) stopped by the operator."""
        if refusal is not None:
            error = jsonrpc.error_value(-31000 - refusal.status, refusal.message)
            await self.answer(jsonrpc.error(b"null", error))
        await self.finish(202 if refusal is None else 200)

    async def _write(self, data: bytes) -> None:
        if not self.ended:
            await self.send({"type": "http.response.body", "body": data, "more_body": True})


def _event(data: bytes, *, id: str = "") -> bytes:
    """Servers may write JSON over several lines. In a value a line break is an escape: without the others it is the same JSON."""
    return sse.encode(data.translate(None, b"\r\n"), id=id)


class Watch(Struct, eq=False):
    """Hears the client leave, ends the work then, and keeps a silent stream alive."""

    receive: Receive
    wire: Wire
    work: asyncio.Task[Any]
    gone: bool = False
    hearing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.hearing = asyncio.get_running_loop().create_task(self._run())

    def leave(self) -> None:
        self.gone = True
        self.work.cancel()

    async def _run(self) -> None:
        hearing = asyncio.ensure_future(self.receive())
        try:
            while not hearing.done() or hearing.result()["type"] != "http.disconnect":
                if hearing.done():  # the body of a request that nobody had read
                    hearing = asyncio.ensure_future(self.receive())
                await asyncio.wait({hearing}, timeout=PING)
                if not hearing.done() and self.wire.started:
                    await self.wire.comment()
            if not self.wire.ended:
                self.leave()
        except (OSError, RuntimeError):
            self.leave()
        finally:
            hearing.cancel()

    def stop(self) -> None:
        if self.hearing is not None:
            self.hearing.cancel()
