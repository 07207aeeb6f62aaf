"""Anthropic on both sides: the bytes pass, and only what bills or ends an answer is decoded."""

from __future__ import annotations

import re

import msgspec
import orjson

from gateway.errors import UNREADABLE
from gateway.llm.dialects import failures, signatures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.anthropic_fit import unsigned_loop
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.frames import Sieve
from gateway.llm.dialects.passage import with_model
from gateway.llm.dialects.protocol import ErrorInfo, Json, Options
from gateway.metering.usage import Usage

_MARKS = tuple(map(re.compile, (rb'"usage"', rb'"message_stop"', rb'"type": ?"error"')))
_FOREIGN = re.compile(rb'"(?:gm1|oa1|or1)\.')  # the prefixes of `signatures`, in a form that is searched fast


class _Delta(msgspec.Struct):
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: Json | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    delta: _Delta | None = None
    usage: Json | None = None
    error: Json | None = None
    stop_reason: str | None = None  # of a whole answer


_decode = msgspec.json.Decoder(_Event).decode


class Watcher:
    """Follows a stream by its few events that hold figures. `message_delta.usage` is cumulative: the last one counts."""

    __slots__ = ("_sieve", "_usage", "error", "finished", "stop_reason")

    def __init__(self) -> None:
        self._sieve = Sieve(_MARKS)
        self._usage: Json = {}
        self.error: ErrorInfo | None = None
        self.stop_reason = ""
        self.finished = False

    @property
    def usage(self) -> Usage | None:
        return figures.billed(self._usage)

    def feed(self, chunk: bytes) -> None:
        for data in self._sieve.feed(chunk):
            try:
                self._look(_decode(data))
            except UNREADABLE:
                continue  # the client's to complain about: the bytes pass as they are

    def _look(self, event: _Event) -> None:
        if event.type == "message_start" and event.message is not None:
            self._usage = event.message.usage or {}
        elif event.type == "message_delta":
            self._usage = figures.merge(self._usage, event.usage)
            if event.delta is not None:
                self.stop_reason = event.delta.stop_reason or self.stop_reason
        elif event.type == "message_stop":
            self.finished = True
        elif event.type == "error":
            self.error = failures.of_event({"error": event.error})


def usage_of(answer: bytes) -> Usage | None:
    """Of a whole answer."""
    try:
        return figures.billed(_decode(answer).usage)
    except UNREADABLE:
        return None


def forward(body: bytes, options: Options) -> bytes:
    """The client's own bytes. Changed only for another model name, or thinking that another provider signed."""
    own = own_thinking(body)
    return own if own is body and options.asked == options.model else with_model(own, options.model)


def own_thinking(body: bytes) -> bytes:
    """The body without thinking that another provider signed; the same object where there is none.

    Without that thinking a turn under a fixed budget may no longer begin as Anthropic wants: then thinking is
    off for it.
    """
    if body.find(b'thinking"') < 0 or _FOREIGN.search(body) is None:  # the first is many times cheaper
        return body
    with shaped("Messages"):
        hub = orjson.loads(body)
        hub["messages"] = signatures.keep(hub["messages"], signatures.ANTHROPIC)
        if unsigned_loop(hub):
            del hub["thinking"]
    return orjson.dumps(hub)
