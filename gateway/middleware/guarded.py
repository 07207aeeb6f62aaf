"""The `send` of a guarded answer: whole answers are judged whole, streams in a window, before the client sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway import refusals, sse
from gateway.call import Call, Verdict
from gateway.errors import Refused
from gateway.guards import outcome
from gateway.guards.placeholders import Placeholders
from gateway.guards.policy import Guard
from gateway.guards.streams import ALL, GRAMMARS, Channel, Delta, Grammar, error_event
from gateway.guards.window import Mask, Window
from gateway.refusals import Refusal
from gateway.types import Message, Send

# Streams whose text cannot be taken apart here: Bedrock's binary frames, and events of a grammar that nobody told us.
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream")


class Cut(Exception):
    """The client has its refusal: what still comes from upstream is for nobody."""


class Answer:
    """One request's answer. `over` once it was refused or cut."""

    def __init__(self, call: Call, guard: Guard, placeholders: Placeholders, send: Send) -> None:
        self.over = False
        self._call = call
        self._guard = guard
        self._placeholders = placeholders
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._stream: _Stream | None = None

    async def __call__(self, message: Message) -> None:
        if self.over:
            raise Cut
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._stream is not None:
            await self._streamed(message)
        elif self._start is not None:
            await self._whole(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message.get("headers", ())}
        if message["status"] >= 400:
            return await self._send(message)  # errors pass word for word
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            await self._refuse(_unreadable(encoding.decode("latin-1")))
            raise Cut
        media = headers.get(b"content-type", b"")
        grammar = GRAMMARS.get(self._call.dialect)
        if media.startswith(b"text/event-stream") and grammar is not None:
            self._stream = _Stream(self._call, self._guard, self._placeholders, grammar)
            await self._send(message)
        elif media.startswith(b"application/json"):
            self._start = message
        elif media.startswith(_STREAMS) and self._guard.enforce and self._guard.answers.severe:
            await self._refuse(_unreadable(media.decode("latin-1")))
            raise Cut
        else:
            note = f"an answer of type {media.decode('latin-1') or 'unknown'} passed unread"
            self._call.verdicts.append(Verdict("guard", "audit", "not_scanned", note))
            await self._send(message)

    async def _whole(self, message: Message) -> None:
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        start, body = self._start, b"".join(self._parts)
        assert start is not None
        try:
            kept = await self._guard.answer(self._call, body, self._placeholders)
        except Refused as error:
            await self._refuse(error.refusal)
            raise Cut from None
        if kept is not body:
            headers = [
                (n, b"%d" % len(kept) if n.lower() == b"content-length" else v) for n, v in start["headers"]
            ]
            start = {**start, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": kept})

    async def _streamed(self, message: Message) -> None:
        assert self._stream is not None
        more = message.get("more_body", False)
        try:
            out = await self._stream.feed(message.get("body", b""))
            if not more:
                out += await self._stream.end()
        except Refused as error:
            self._call.refusal = error.refusal
            self.over = True
            last = error_event(self._call.dialect, error.refusal, self._call.id)
            await self._send({"type": "http.response.body", "body": last, "more_body": False})
            raise Cut from None  # unwinds the app, and with it the upstream
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    async def _refuse(self, refusal: Refusal) -> None:
        self.over = True
        await refusals.send_refusal(self._call, refusal, self._send)


def _unreadable(kind: str) -> Refusal:
    why = f"The answer came as {kind}, which the guard cannot read, so it is not passed on. What to do: ask without streaming."
    return Refusal(502, "api_error", why, "guard", "content_encoding")


class _Stream:
    """The windows of one stream, and its frames as they go on."""

    def __init__(self, call: Call, guard: Guard, placeholders: Placeholders, grammar: Grammar) -> None:
        self._call = call
        self._guard = guard
        self._placeholders = placeholders
        self._grammar = grammar
        self._splitter = sse.Splitter()
        self._windows: dict[Channel, Window] = {}
        # The channel's last frame, to send what was held back.
        self._last: dict[Channel, tuple[bytes, str]] = {}
        self._said: dict[Channel, list[str]] = {}  # for plug-ins, who judge a text when it is over
        self._noted: set[tuple[str, str]] = set()

    async def feed(self, chunk: bytes) -> bytes:
        return b"".join([await self._frame(frame) for frame in self._splitter.feed(chunk)])

    async def end(self) -> bytes:
        rest = await self._ended(ALL)
        return rest + self._splitter.rest

    async def _frame(self, frame: bytes) -> bytes:
        event = sse.parse(frame)
        if event is None:
            return frame
        if event.data.strip() == b"[DONE]":
            return await self._ended(ALL) + frame
        try:
            tree = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            return frame
        if not isinstance(tree, dict):
            return frame
        deltas = list(self._grammar.deltas(tree))
        texts = [delta.holder[delta.key] for delta in deltas]
        if deltas and self._grammar.mixed:
            tree, deltas = await self._beside(tree, deltas)
        ends = self._grammar.ends(tree)
        self._pushed(event.name, deltas, texts, tree)
        if ends is not None:
            for delta in deltas:  # the last piece came with the end: all that is left goes with it
                if _begins(delta.channel, ends):
                    delta.holder[delta.key] += await self._closed(delta.channel)
        before = await self._ended(ends) if ends is not None else b""
        if deltas:
            return before + _encoded(event.name, tree)
        return before + await self._judged(frame, event.name, event.data)

    async def _beside(self, tree: dict[str, Any], deltas: list[Delta]) -> tuple[dict[str, Any], list[Delta]]:
        """The event with what stands in it beside its pieces of text judged: a whole call of a tool."""
        for delta in deltas:
            delta.holder[delta.key] = _MARK
        tree = orjson.loads(await self._guard.answer(self._call, orjson.dumps(tree), self._placeholders))
        return tree, list(self._grammar.deltas(tree))

    def _pushed(self, name: str, deltas: list[Delta], texts: list[str], tree: dict[str, Any]) -> None:
        """Put each piece through its window. The frame goes on even with nothing in it: it may say more than its text."""
        for delta in deltas:
            delta.holder[delta.key] = ""
        for delta, text in zip(deltas, texts, strict=True):
            if self._guard.answers.plugins:
                self._said.setdefault(delta.channel, []).append(text)
            delta.holder[delta.key] = _MARK
            self._last[delta.channel] = orjson.dumps(tree), name
            delta.holder[delta.key] = ""
        for delta, text in zip(deltas, texts, strict=True):
            delta.holder[delta.key] = self._window(delta.channel).push(text)

    def _window(self, channel: Channel) -> Window:
        if channel not in self._windows:
            self._windows[channel] = Window(
                lambda text, fresh: self._masks(channel, text, fresh), restore=self._placeholders.restore
            )
        return self._windows[channel]

    def _masks(self, channel: Channel, text: str, fresh: int) -> Sequence[Mask]:
        path = ("answer", *(str(part) for part in channel))
        hits = [hit for hit in self._guard.hits_in(self._call, text, path) if hit.finding.end > fresh]
        new = [hit for hit in hits if (hit.rule.name, hit.finding.excerpt) not in self._noted]
        self._noted.update((hit.rule.name, hit.finding.excerpt) for hit in new)
        outcome.record(self._call, new, enforce=self._guard.enforce)
        if not self._guard.enforce:
            return []
        outcome.refuse_if_any(hits)
        own = self._guard.placeholders()
        return [
            Mask(hit.finding.start, hit.finding.end, own.stand_in(hit.rule.scanner or "masked", text[hit.finding.start : hit.finding.end]))
            for hit in hits
            if hit.rule.action == "mask"
        ]  # fmt: skip

    async def _ended(self, ends: Channel) -> bytes:
        """What was held back of the texts that end here, in a frame like their last one."""
        out = b""
        for channel in [c for c in self._windows if _begins(c, ends)]:
            data, name = self._last[channel]
            if rest := await self._closed(channel):
                tree = self._grammar.bare(orjson.loads(data))
                out += _encoded(name, tree).replace(_MARKED, orjson.dumps(rest), 1)
        return out

    async def _closed(self, channel: Channel) -> str:
        """The rest of a text that is over."""
        await self._heard(channel)
        del self._last[channel]
        return self._windows.pop(channel).flush()

    async def _heard(self, channel: Channel) -> None:
        said = self._said.pop(channel, None)
        if said is not None:
            await self._guard.plugged_answer(
                self._call, "".join(said), ("answer", *(str(part) for part in channel))
            )

    async def _judged(self, frame: bytes, name: str, data: bytes) -> bytes:
        """A frame that is no piece of a text may still hold one: a tool's arguments, a text repeated at its end."""
        kept = await self._guard.answer(self._call, data, self._placeholders)
        return frame if kept is data else sse.encode(kept, name="" if name == "message" else name)


_MARK = "\ue000held back\ue000"
_MARKED = orjson.dumps(_MARK)


def _encoded(name: str, tree: dict[str, Any]) -> bytes:
    return sse.encode(orjson.dumps(tree), name="" if name == "message" else name)


def _begins(channel: Channel, ends: Channel) -> bool:
    return ends == ALL or channel[: len(ends)] == ends
