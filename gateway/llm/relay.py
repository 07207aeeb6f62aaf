"""The answer's way to the client: each piece goes on when it comes, and is looked at afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable
from typing import Any

import orjson
from msgspec import Struct

from gateway import refusals
from gateway.answer import Sink, sink_of
from gateway.call import Call
from gateway.errors import UpstreamError
from gateway.limits import estimate
from gateway.llm import headers as passing
from gateway.llm import reading
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.composer import CUT
from gateway.llm.dialects.protocol import Json, Request, Watcher
from gateway.llm.encoding import inflater, plain
from gateway.llm.inquiry import Inquiry
from gateway.llm.pouring import Pouring
from gateway.llm.pulse import SILENCE
from gateway.llm.retelling import Retelling
from gateway.llm.upstream import Answer
from gateway.llm.watch import Watch
from gateway.metering import readers, truth
from gateway.metering.prices import CACHE
from gateway.metering.usage import Usage
from gateway.net.client import READ_LIMIT, Response, header
from gateway.refusals import Refusal
from gateway.types import Headers, Send

TOOL_USES = 64  # remembered of one answer, to join its trace to those of its tools
_SSE, _EVENTSTREAM = b"text/event-stream", b"application/vnd.amazon.eventstream"
_MISS = (b"x-gateway-cache", b"miss")
_TOOL_USE = re.compile(rb'"type": ?"tool_use", ?"id": ?"([\w.:-]{1,200})"')


class Relay(Struct, eq=False):
    """One request's answer. `started`: the client has its head, so that a failure can no longer have a status.
    `key`: what a cache is to keep it as."""

    _inquiry: Inquiry
    _call: Call
    _send: Send
    _silence: float = SILENCE
    started: bool = False
    abandoned: bool = False  # the client left, or the call was stopped
    key: str = ""
    _head: Headers = []  # of an answer that may be kept
    _media: bytes = b""
    _size: int = 0
    _status: int = 0
    _binary: bool = False
    _reported: Usage | None = None
    _final: bool = False  # whether the provider's last word on usage was heard
    _watch: Watch | None = None  # of a stream that passes untouched
    _retelling: Retelling | None = None  # of a translated stream
    _tail: bytes = b""  # the latest bytes that the client was sent
    _parts: list[bytes] = []  # all of them, to be looked at if the figures are in doubt

    def start(self, status: int, headers: Headers) -> Awaitable[None]:
        if self.key:
            headers = self._head = [*headers, _MISS]
        self._status = status
        self._media = dict(headers).get(b"content-type", b"").partition(b";")[0].strip()
        self.started = True
        return self._send({"type": "http.response.start", "status": status, "headers": headers})

    def body(self, data: bytes, *, more: bool) -> Awaitable[None]:
        self._kept(data)
        return self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _kept(self, data: bytes) -> None:
        if self._size <= READ_LIMIT:
            self._parts.append(data)
        self._size += len(data)
        self._tail = data or self._tail

    # -- kept answers

    async def again(self, head: Headers, body: bytes, usage: Usage, model: str) -> None:
        """An answer to an earlier request."""
        call = self._call
        call.provider, call.upstream_model = CACHE, model
        call.first_byte = time.perf_counter_ns()
        self._reported = usage
        await self.start(200, head)
        await self.body(body, more=False)

    def told(self, largest: int) -> tuple[Headers, bytes] | None:
        """Head and body of a success, if that is not too large. To be asked once it is settled."""
        if self._status != 200 or self._size > largest or self._call.refusal is not None:
            return None
        return self._head, b"".join(self._parts)

    # -- the same dialect on both sides

    async def untouched(self, answer: Answer) -> None:
        """The upstream's bytes as they are."""
        response, held = answer.response, answer.opening.held
        chunk = held or response.take() or await response.chunk()
        self._call.first_byte = self._call.first_byte or time.perf_counter_ns()
        passthrough = answer.prepared.candidate.provider.passthrough
        await self.start(response.status, passing.back(response.headers, passthrough=passthrough))
        encoding = dict(response.headers).get(b"content-encoding", b"")
        self._binary = bool(encoding) or self._media == _EVENTSTREAM
        if self._media == _SSE or self._media == _EVENTSTREAM:
            watcher = answer.opening.watcher or answer.prepared.wire.watcher()
            watch = self._watch = Watch(watcher, inflater(encoding), seen=len(held))
            trim = _trimmer(answer, self._inquiry.body) if not encoding else None
            if trim is not None:
                await self._trimmed(response, chunk, watch, trim)
            else:
                await self._streamed(response, chunk, watch)
            return
        if response.ended:
            whole = chunk
            await self.body(chunk, more=False)
        else:
            whole = await self._copied(response, chunk)
        if response.status < 400:
            self._reported, self._final = answer.prepared.wire.usage_of(plain(whole, encoding)), True

    async def _streamed(self, response: Response, chunk: bytes, watch: Watch) -> None:
        sink = None
        while not response.ended:
            await self.body(chunk, more=True)
            watch.passed(chunk)
            sink = sink or sink_of(self._send)  # not before: the head leaves together with the first piece
            if sink is not None:
                await self._poured(response, sink, watch)
            chunk = await response.chunk()
        watch.passed(chunk)
        await self._last(chunk, cut=watch.cut())

    async def _poured(self, response: Response, sink: Sink, watch: Watch) -> None:
        """Straight from one connection to the other, as long as the client is ready for more."""

        def note(data: bytes) -> None:
            self._kept(data)
            sink.passed(data)
            watch.passed(data)

        pouring = Pouring(sink.take, note)
        try:
            await response.pour(pouring.pass_on)
        finally:
            pouring.flush()

    async def _trimmed(self, response: Response, chunk: bytes, watch: Watch, trim: Any) -> None:
        """Without the usage that only the gateway has asked for."""
        while chunk:
            watch.passed(chunk)
            if kept := trim.feed(chunk):
                await self.body(kept, more=True)
            chunk = await response.chunk()
        await self._last(trim.end(), cut=watch.cut())

    async def _last(self, chunk: bytes, *, cut: bool) -> None:
        """A stream that ends in the middle must not look finished: an error event will follow."""
        await self.body(chunk, more=cut)
        if cut:
            raise UpstreamError(CUT)

    async def _copied(self, response: Response, chunk: bytes) -> bytes:
        """An answer that is no stream and comes in pieces; returns it for its usage."""
        parts = [chunk]
        while chunk:
            await self.body(chunk, more=True)
            if self._size <= READ_LIMIT:
                parts.append(chunk)
            chunk = await response.chunk()
        await self.body(b"", more=False)
        return b"".join(parts[1:])

    # -- translated

    async def whole(self, answer: Answer) -> None:
        prepared, request = answer.prepared, self._inquiry.request
        body = plain(await answer.response.read(), header(answer.response.headers, b"content-encoding"))
        self._call.first_byte = self._call.first_byte or time.perf_counter_ns()
        with reading.trusting():
            message: Json = prepared.wire.read_answer(_object(body), prepared.reply)
            self._reported, self._final = figures.billed(message.get("usage")), True
            if prepared.dialect == "gemini":
                self._inquiry.memory().message(message)
            told = self._inquiry.inbound.write_answer(message, request)
        await self.json(told)

    async def json(self, value: Json, *, headers: Headers | None = None) -> None:
        data = orjson.dumps(value)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data)),
                (b"request-id", self._call.id.encode()), *(headers or ())]  # fmt: skip
        await self.start(200, head)
        await self.body(data, more=False)

    def expect(self) -> Retelling:
        """A stream in the client's dialect is to come."""
        if self._retelling is None:
            self._retelling = Retelling(self._inquiry, self, self._silence)
        return self._retelling

    async def events(self, answer: Answer) -> None:
        retelling = self.expect()
        try:
            await retelling.tell(answer)
        finally:
            self._reported, self._final = retelling.usage, retelling.final
        await self.body(b"", more=False)

    # -- when it goes wrong

    async def refuse(self, refusal: Refusal) -> bool:
        """Instead of an answer, or of its rest. False where only a broken connection can tell."""
        if self.started:
            return await self._failed(refusal)
        if self._retelling is not None:
            self._retelling.silent()
        await refusals.send_refusal(self._call, refusal, self._send)
        return True

    async def _failed(self, refusal: Refusal) -> bool:
        """Tell the client in its own dialect that the stream broke."""
        self._call.refusal = refusal
        if self._retelling is not None:
            self._retelling.silent()
        if self._media != _SSE:
            return False
        inquiry, retelling = self._inquiry, self._retelling
        unread = Request(hub={}, model=inquiry.op.model, stream=True)
        writer = inquiry.inbound.writer(unread) if retelling is None else retelling.writer
        error = {"type": refusal.kind, "message": refusal.message}
        data = writer.write({"type": "error", "error": error, "status": refusal.status})
        whole = not self._tail or self._tail.endswith((b"\n\n", b"\n\r\n"))
        await self.body(data if whole else b"\n\n" + data, more=False)
        return True

    def settle(self) -> None:
        """Whatever happened: what was consumed, as far as it is known."""
        if self._retelling is not None:
            self._retelling.silent()
            self._retelling = None  # it holds this relay: a ring would be left to the collector
        call, op = self._call, self._inquiry.op
        if not (self.started and op.charged and self._status < 400):
            if self.abandoned and self._inquiry.asked and op.charged:
                prompt = estimate.prompt(self._inquiry.body, call.upstream_model, provider=call.provider)
                # It is billed: nobody can take a question back.
                call.usage = Usage(input=prompt, estimated=True)
            return
        if self._watch is not None:
            self._noted(self._watch.look())
        whole = b"".join(self._parts)
        if b'"tool_use"' in whole:
            call.tool_uses = [found.decode() for found in _TOOL_USE.findall(whole)[:TOOL_USES]]
        if call.provider == CACHE:  # judged when it was first given
            call.usage = self._reported
            return
        if call.refusal is not None and self._reported is None and not readers.written(whole):
            return  # nothing was done
        call.usage = truth.settled(
            self._reported,
            request=self._inquiry.body,
            model=call.upstream_model,
            provider=call.provider,
            answer=() if op.method == "embeddings" else (whole,),
            final=self._final,
            binary=self._binary,
        )

    def _noted(self, watcher: Watcher) -> None:
        """What the watcher of an untouched stream has seen."""
        self._reported, self._final = watcher.usage, watcher.finished
        error = watcher.error
        if error is not None and self._call.refusal is None:
            self._call.refusal = Refusal(error.status, error.type, error.message)


def _trimmer(answer: Answer, body: bytes) -> Any:
    make = getattr(answer.prepared.wire, "trimmer", None)
    return make(body) if make is not None else None


def _object(body: bytes) -> Json:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError("the upstream's answer is not JSON") from None
    if not isinstance(value, dict):
        raise UpstreamError("the upstream's answer is not a JSON object")
    return value
