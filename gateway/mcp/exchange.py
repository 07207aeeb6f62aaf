"""The way back to one client: plain JSON while nothing comes before the answer, an event stream from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
from msgspec import Raw

from gateway import sse
from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Members, Message
from gateway.mcp.peer import Peer
from gateway.refusals import Refusal
from gateway.types import Headers, Receive, Send

PING = 15.0  # seconds of silence before a comment is sent
LATE = 0.25  # an answer that takes longer is watched for the client's leaving
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_STREAM: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Wire:
    """One HTTP response. `streaming=False`: whoever carries it would buffer a stream, so there is none."""

    __slots__ = ("_answers", "_batch", "_expected", "_headers", "_send", "ended", "started", "streaming")

    def __init__(self, send: Send, headers: Headers, *, expected: int, batch: bool, streaming: bool) -> None:
        self._send = send
        self._headers = headers
        self._expected = expected
        self._batch = batch
        self._answers: list[bytes] = []
        self.streaming = streaming
        self.started = False
        self.ended = False

    @property
    def shared(self) -> bool:
        """The response is not (or no longer) this request's alone to begin."""
        return self.started or self._batch

    async def start(self) -> None:
        """Idempotent: from here on the response is a stream."""
        if not self.started:
            self.started = True
            head: Headers = [*_STREAM, *self._headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": head})
            answers, self._answers = self._answers, []
            for answer in answers:
                await self._write(sse.encode(answer))

    async def event(self, data: bytes, *, id: str = "", retry: int | None = None) -> None:
        await self.start()
        head = b"retry: %d\n" % retry if retry is not None else b""
        await self._write(head + sse.encode(data, id=id))

    async def comment(self) -> None:
        await self._write(b": keep-alive\n\n")

    async def answer(self, body: bytes, *, status: int = 200, id: str = "") -> None:
        """One of the expected answers; the last one ends the response."""
        self._expected -= 1
        if self.started:
            await self._write(sse.encode(body, id=id))
        else:
            self._answers.append(body)
        if self._expected <= 0:
            await self.finish(status)

    async def finish(self, status: int = 200) -> None:
        """Ends the response with the answers that there are."""
        if self.ended:
            return
        self.ended = True
        if self.started:
            await self._send({"type": "http.response.body", "body": b""})
            return
        body = b"[" + b",".join(self._answers) + b"]" if self._batch else b"".join(self._answers)
        length = (b"content-length", b"%d" % len(body))
        media: Headers = [(b"content-type", b"application/json")] if body else []
        head = [*media, length, *self._headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    async def stop(self, refusal: Refusal | None) -> None:
        """Ends the response without an answer: it was cancelled, or (with a refusal) stopped by the operator."""
        if refusal is not None:
            error = jsonrpc.error_value(-31000 - refusal.status, refusal.message)
            await self.answer(jsonrpc.error(b"null", error))
        await self.finish(202 if refusal is None else 200)

    async def _write(self, data: bytes) -> None:
        if not self.ended:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})


class Watch:
    """Hears the client leave, and keeps a silent stream alive."""

    __slots__ = ("_gone", "_receive", "_task", "_wire")

    def __init__(self, receive: Receive, wire: Wire, gone: Callable[[], None]) -> None:
        self._receive = receive
        self._wire = wire
        self._gone = gone
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        hearing = asyncio.ensure_future(self._receive())
        try:
            while not hearing.done() or hearing.result()["type"] != "http.disconnect":
                if hearing.done():  # the body of a request that nobody had read
                    hearing = asyncio.ensure_future(self._receive())
                await asyncio.wait({hearing}, timeout=PING)
                if not hearing.done() and self._wire.started:
                    await self._wire.comment()
            if not self._wire.ended:
                self._gone()
        except (OSError, RuntimeError):
            self._gone()
        finally:
            hearing.cancel()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Exchange:
    """One request of the client in its response. An `Ear` to the upstream that serves it."""

    __slots__ = ("_token", "changed", "event_id", "outward", "peer", "server", "wire")

    def __init__(self, wire: Wire, peer: Peer, params: Members) -> None:
        self.wire = wire
        self.peer = peer
        self.server = ""
        self.changed: Callable[[str], None] = _ignore
        self.event_id: Callable[[str], str] = _no_id  # ours, for one of the server's
        self.outward: Callable[[str, bytes], bytes] = _as_it_is  # the ids of tasks, as the client knows them
        self._token = _progress_token(params)

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if not self.wire.streaming:
            return
        resume = self.event_id(event_id) if event_id is not None and self.peer.session else ""
        if message.method:
            data = self._translate(message)
            if data:
                await self.wire.event(data, id=resume)
        elif resume:
            await self.wire.event(b"", id=resume, retry=retry)

    def _translate(self, message: Message) -> bytes:
        if message.is_request:
            return self._ask_client(message)
        if message.method == "notifications/progress":
            return self._progress(message)
        if message.method == "notifications/message" and not self._wants(message):
            return b""
        if message.method.endswith("list_changed"):
            self.changed(self.server)
            if self.peer.modern:
                return b""  # only a subscription carries these
        return jsonrpc.notification(message.method, self.outward(self.server, message.params))

    def _progress(self, message: Message) -> bytes:
        if self._token is None:
            return b""
        params = {**jsonrpc.members(message.params), "progressToken": self._token}
        return jsonrpc.notification(message.method, jsonrpc.join(params))

    def _wants(self, message: Message) -> bool:
        if not self.peer.log_level:
            return not self.peer.modern
        raw = bytes(jsonrpc.members(message.params).get("level", b"null"))
        level = orjson.loads(raw)
        if level not in _LEVELS or self.peer.log_level not in _LEVELS:
            return True
        return _LEVELS.index(level) >= _LEVELS.index(self.peer.log_level)

    def _ask_client(self, message: Message) -> bytes:
        """A request of a legacy server to its legacy client, under an id that tells any instance where it came from."""
        if self.server not in self.peer.handles:
            return b""
        params = self.outward(self.server, message.params)
        return jsonrpc.request(request_id(self.server, message.id), message.method, params)


def request_id(server: str, ident: bytes) -> bytes:
    return orjson.dumps(f"{server}:{ident.decode()}")


def split_request_id(ident: bytes) -> tuple[str, bytes]:
    """The server and its own id; ("", b"") where it is none of ours."""
    value = orjson.loads(ident)
    server, colon, own = value.partition(":") if isinstance(value, str) else ("", "", "")
    return (server, own.encode()) if colon else ("", b"")


def _progress_token(params: Members) -> Raw | None:
    raw = params.get("_meta")
    token = jsonrpc.members(bytes(raw)).get("progressToken") if raw is not None else None
    return token


def _ignore(server: str) -> None:
    return None


def _as_it_is(server: str, raw: bytes) -> bytes:
    return raw


def _no_id(event_id: str) -> str:
    return ""
