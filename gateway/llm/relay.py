"""The answer's way to the client: each piece goes on when it comes, and is looked at afterwards."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import orjson

from gateway import refusals
from gateway.call import Call
from gateway.errors import UpstreamError
from gateway.llm import headers as passing
from gateway.llm import reading
from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.protocol import Event, Json, Request, StreamWriter, Watcher
from gateway.llm.encoding import Inflater, inflater, plain
from gateway.llm.inquiry import Inquiry
from gateway.llm.upstream import Answer
from gateway.metering import readers, truth
from gateway.metering.usage import Usage
from gateway.net.client import READ_LIMIT, Response, header
from gateway.refusals import Refusal
from gateway.types import Headers, Send

SILENCE = 12.0  # seconds after which a translated stream gets a ping
TOOL_USES = 64  # remembered of one answer, to join its trace to those of its tools
_SSE, _EVENTSTREAM = b"text/event-stream", b"application/vnd.amazon.eventstream"
_TOOL_USE = re.compile(rb'"type": ?"tool_use", ?"id": ?"([\w.:-]{1,200})"')


class Relay:
    """One request's answer. `started`: the client has its head, so that a failure can no longer have a status."""

    __slots__ = (
        "_binary", "_call", "_final", "_inquiry", "_media", "_parts", "_reported", "_send", "_silence", "_size", "_status", "_watcher",
        "_whole_frames", "_writer", "started",
    )  # fmt: skip

    def __init__(self, inquiry: Inquiry, send: Send, *, silence: float = SILENCE) -> None:
        self._silence = silence
        self._inquiry = inquiry
        self._call = inquiry.call
        self._send = send
        self._media = b""
        self._size = 0
        self._status = 0
        self._parts: list[bytes] = []  # what the client was sent, to be looked at if the figures are in doubt
        self._binary = False
        self._reported: Usage | None = None
        self._final = False  # whether the provider's last word on usage was heard
        self._watcher: Watcher | None = None
        self._writer: StreamWriter | None = None  # of a translated stream
        self._whole_frames = True
        self.started = False

    async def start(self, status: int, headers: Headers) -> None:
        self._status = status
        self._media = header(headers, b"content-type").partition(b";")[0].strip()
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, data: bytes, *, more: bool) -> None:
        if self._size <= READ_LIMIT:
            self._parts.append(data)
        self._size += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        if b'"tool_use"' in data and len(self._call.tool_uses) < TOOL_USES:
            self._call.tool_uses += [found.decode() for found in _TOOL_USE.findall(data)]

    # -- the same dialect on both sides

    async def untouched(self, answer: Answer) -> None:
        """The upstream's bytes as they are."""
        response, held = answer.response, answer.opening.held
        chunk = held or await response.chunk()
        self._call.first_byte = self._call.first_byte or time.perf_counter_ns()
        passthrough = answer.prepared.candidate.provider.passthrough
        await self.start(response.status, passing.back(response.headers, passthrough=passthrough))
        encoding = header(response.headers, b"content-encoding")
        self._binary = bool(encoding) or self._media == _EVENTSTREAM
        if self._media == _SSE or self._media == _EVENTSTREAM:
            watcher = self._watcher = answer.opening.watcher or answer.prepared.wire.watcher()
            trim = _trimmer(answer, self._inquiry.body) if not encoding else None
            if trim is not None:
                await self._trimmed(response, chunk, watcher, trim, seen=bool(held))
            else:
                await self._streamed(response, chunk, watcher, inflater(encoding), seen=bool(held))
        else:
            whole = await self._copied(response, chunk)
            if response.status < 400:
                self._reported, self._final = answer.prepared.wire.usage_of(plain(whole, encoding)), True

    async def _streamed(
        self, response: Response, chunk: bytes, watcher: Watcher, inflate: Inflater | None, *, seen: bool
    ) -> None:
        while True:
            ended = response.ended
            await self.body(chunk, more=not ended)
            self._whole_frames = chunk.endswith((b"\n\n", b"\n\r\n"))
            if not seen:
                watcher.feed(chunk if inflate is None else inflate.feed(chunk))
            seen = False
            if ended:
                return
            chunk = await response.chunk()

    async def _trimmed(
        self, response: Response, chunk: bytes, watcher: Watcher, trim: Any, *, seen: bool
    ) -> None:
        """Without the usage that only the gateway has asked for."""
        while chunk:
            if not seen:
                watcher.feed(chunk)
            seen = False
            if kept := trim.feed(chunk):
                await self.body(kept, more=True)
            chunk = await response.chunk()
        await self.body(trim.end(), more=False)

    async def _copied(self, response: Response, chunk: bytes) -> bytes:
        """An answer that is no stream, however many pieces it comes in; returns it for its usage."""
        if response.ended:
            await self.body(chunk, more=False)
            return chunk
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

    async def events(self, answer: Answer) -> None:
        """A stream in the client's dialect, with pings where the provider is silent."""
        reader, response = answer.opening.reader, answer.response
        assert reader is not None
        writer = self._writer = self._inquiry.inbound.writer(self._inquiry.request)
        await self.start(200, _stream_headers(writer.media, self._call.id))
        pulse = Pulse(self, writer.ping(), self._silence)
        hear = self._inquiry.memory().listen().hear if answer.prepared.dialect == "gemini" else None
        tally: Json = {}
        try:
            events: Sequence[Event] = answer.opening.events
            chunk = b"."
            while True:
                out = reading.told(writer, events)
                if out:
                    await self.body(out, more=True)
                    pulse.beat()
                self._tally(events, tally)
                if hear is not None:
                    for event in events:
                        hear(event)
                if not chunk or any(event["type"] == "error" for event in events):
                    break
                chunk = await response.chunk()
                events = reading.events(reader, chunk)
        finally:
            pulse.stop()
            self._reported = figures.billed(tally)
        await self.body(b"", more=False)

    def _tally(self, events: Sequence[Event], tally: Json) -> None:
        for event in events:
            kind = event["type"]
            if kind == "message_start":
                tally.update(event["message"].get("usage") or {})
            elif kind == "message_delta":
                tally.update(figures.merge(tally, event.get("usage")))
                self._final = True
            elif kind == "error":
                info = failures.of_event(event)
                self._call.refusal = Refusal(info.status, info.type, info.message)

    # -- when it goes wrong

    async def failed(self, refusal: Refusal) -> bool:
        """Tell the client in its own dialect that the stream broke. False where only a broken connection can tell."""
        self._call.refusal = refusal
        if self._media != _SSE:
            return False
        writer = self._writer or self._inquiry.inbound.writer(
            Request(hub={}, model=self._inquiry.op.model, stream=True)
        )
        error = {"type": refusal.kind, "message": refusal.message}
        data = writer.write({"type": "error", "error": error, "status": refusal.status})
        await self.body(data if self._whole_frames else b"\n\n" + data, more=False)
        return True

    def settle(self) -> None:
        """Whatever happened: what was consumed, as far as it is known."""
        call, op = self._call, self._inquiry.op
        if not (self.started and op.charged and self._status < 400):
            return
        failed = False
        if self._watcher is not None:
            failed = self._noted(self._watcher)
        if failed and self._reported is None and not readers.written(b"".join(self._parts)):
            return  # nothing was done
        call.usage = truth.settled(
            self._reported,
            request=self._inquiry.body,
            model=call.upstream_model,
            provider=call.provider,
            answer=() if op.method == "embeddings" else self._parts,
            final=self._final,
            binary=self._binary,
        )

    def _noted(self, watcher: Watcher) -> bool:
        """What the watcher of an untouched stream has seen; whether that was a failure."""
        self._reported, self._final = watcher.usage, watcher.finished
        error = watcher.error
        if error is not None and self._call.refusal is None:
            self._call.refusal = Refusal(error.status, error.type, error.message)
        return error is not None


class Pulse:
    """Sends a ping whenever nothing was sent for a while: one lazy timer, as on the upstream's side."""

    __slots__ = ("_last", "_loop", "_ping", "_relay", "_silence", "_task", "_timer")

    def __init__(self, relay: Relay, ping: bytes, silence: float) -> None:
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._relay = relay
        self._ping = ping
        self._last = self._loop.time()
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(silence, self._tick) if ping else None

    def beat(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _tick(self) -> None:
        due = self._last + self._silence
        if self._loop.time() >= due:
            self.beat()
            self._task = self._loop.create_task(self._relay.body(self._ping, more=True))
            due = self._last + self._silence
        self._timer = self._loop.call_at(due, self._tick)


def _trimmer(answer: Answer, body: bytes) -> Any:
    make = getattr(answer.prepared.wire, "trimmer", None)
    return make(body) if make is not None else None


def _stream_headers(media: str, call_id: str) -> Headers:
    return [
        (b"content-type", media.encode()),
        (b"cache-control", b"no-cache"),
        (b"request-id", call_id.encode()),
    ]


def _object(body: bytes) -> Json:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError("the upstream's answer is not JSON") from None
    if not isinstance(value, dict):
        raise UpstreamError("the upstream's answer is not a JSON object")
    return value


async def refuse(call: Call, answer: Answer, send: Send) -> None:
    """An upstream's error, or its refusal of our own credential, in the client's dialect."""
    body = plain(
        await answer.response.read(1024 * 1024), header(answer.response.headers, b"content-encoding")
    )
    if answer.credential_refused:
        text = "the gateway's own credential for this provider was refused; its operator has been told"
        return await refusals.send_refusal(
            call, Refusal(500, "api_error", text, rule="upstream_credential"), send
        )
    names = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.response.headers}
    info = answer.opening.error or answer.prepared.wire.read_error(answer.response.status, names, body)
    await refusals.send_refusal(
        call, Refusal(info.status, info.type, info.message, retry_after=info.retry_after), send
    )
