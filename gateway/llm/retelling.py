"""A stream told in another dialect than its provider's."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from gateway.llm import reading
from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.protocol import Event, Json, StreamWriter
from gateway.llm.inquiry import Inquiry
from gateway.llm.pulse import Pulse
from gateway.llm.upstream import Answer
from gateway.metering.usage import Usage
from gateway.refusals import Refusal
from gateway.types import Headers


class Client(Protocol):
    """Who is told. `started`: it has the head."""

    started: bool

    def start(self, status: int, headers: Headers) -> Awaitable[None]: ...
    def body(self, data: bytes, *, more: bool) -> Awaitable[None]: ...


class Retelling:
    """From its making on the client gets a ping in every silence; the first one brings the head, and from then on a failure is
    an event."""

    def __init__(self, inquiry: Inquiry, client: Client, silence: float) -> None:
        self._inquiry = inquiry
        self._client = client
        self.writer: StreamWriter = inquiry.inbound.writer(inquiry.request)
        self._pulse = Pulse(self._ping, silence) if self.writer.ping() else None
        self._tally: Json = {}
        self.usage: Usage | None = None
        self.final = False  # whether the provider's last word on usage was heard

    async def tell(self, answer: Answer) -> None:
        """All but its end."""
        if self._pulse is not None:
            await self._pulse.pause()
        await self._begin()
        try:
            await self._events(answer)
        finally:
            self.silent()
            self.usage = figures.billed(self._tally)

    def silent(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()

    async def _ping(self) -> None:
        await self._begin()
        await self._client.body(self.writer.ping(), more=True)

    async def _begin(self) -> None:
        if not self._client.started:
            head = [
                (b"content-type", self.writer.media.encode()),
                (b"cache-control", b"no-cache"),
                (b"request-id", self._inquiry.call.id.encode()),
            ]
            await self._client.start(200, head)

    async def _events(self, answer: Answer) -> None:
        reader, events = answer.opening.reader, answer.opening.events
        assert reader is not None
        hear = self._inquiry.memory().listen().hear if answer.prepared.dialect == "gemini" else None
        chunk = b"."
        while True:
            await self._told(events)
            self._count(events)
            if hear is not None:
                for event in events:
                    hear(event)
            if not chunk or any(event["type"] == "error" for event in events):
                return
            chunk = await answer.response.chunk()
            events = reading.events(reader, chunk)

    async def _told(self, events: Sequence[Event]) -> None:
        out = reading.told(self.writer, events)
        if out:
            await self._client.body(out, more=True)
            if self._pulse is not None:
                self._pulse.beat()

    def _count(self, events: Sequence[Event]) -> None:
        for event in events:
            kind = event["type"]
            if kind == "message_start":
                self._tally.update(event["message"].get("usage") or {})
            elif kind == "message_delta":
                self._tally.update(figures.merge(self._tally, event.get("usage")))
                self.final = True
            elif kind == "error":
                info = failures.of_event(event)
                self._inquiry.call.refusal = Refusal(info.status, info.type, info.message)
