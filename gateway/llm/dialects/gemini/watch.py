"""Gemini on both sides: the bytes pass. Every chunk holds figures, so the last one is kept and decoded when asked."""

from __future__ import annotations

import re

import msgspec
import orjson

from gateway import sse
from gateway.errors import UNREADABLE
from gateway.llm.dialects import carried, thoughts
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.frames import Sieve, frame_at, marked
from gateway.llm.dialects.gemini.answer import RETRY, STOPS, error_of
from gateway.llm.dialects.gemini.figures import usage_of as figures
from gateway.llm.dialects.gemini.keys import many
from gateway.llm.dialects.protocol import ErrorInfo, Json, Options
from gateway.metering.usage import Usage

_FIGURES = b'"usageMetadata"'
_ENDS = tuple(map(re.compile, (rb'"finishReason"', rb'"blockReason"', rb'"error"')))


class _Candidate(msgspec.Struct):
    finishReason: str | None = None


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] = []
    usageMetadata: Json | None = None
    promptFeedback: Json | None = None
    error: Json | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class Watcher:
    __slots__ = ("_called", "_last", "_sieve", "error", "finished", "stop_reason")

    def __init__(self) -> None:
        self._sieve = Sieve(_ENDS)
        self._last = b""  # the latest frame with figures
        self._called = False
        self.error: ErrorInfo | None = None
        self.stop_reason = ""
        self.finished = False

    @property
    def usage(self) -> Usage | None:
        event = sse.parse(self._last)
        return usage_of(event.data) if event is not None else None

    def feed(self, chunk: bytes) -> None:
        frames = self._sieve.whole(chunk)
        at = frames.rfind(_FIGURES)
        if at >= 0:
            self._last = frame_at(frames, at)[0]
        self._called = self._called or b'"functionCall"' in frames
        for data in marked(frames, _ENDS):
            self._look(data)

    def _look(self, data: bytes) -> None:
        try:
            chunk = _decode(data)
        except UNREADABLE:
            return
        if chunk.error is not None:
            self.error = error_of(chunk.error, {})
        reason = chunk.candidates[0].finishReason if chunk.candidates else None
        if reason is not None:
            self._stopped("api_error" if reason in RETRY else STOPS.get(reason, "refusal"))
        elif (chunk.promptFeedback or {}).get("blockReason"):
            self._stopped("refusal")

    def _stopped(self, reason: str) -> None:
        self.finished = True
        self.stop_reason = "tool_use" if reason == "end_turn" and self._called else reason


def usage_of(answer: bytes) -> Usage | None:
    try:
        return figures(_decode(answer).usageMetadata)
    except UNREADABLE:
        return None


def forward(body: bytes, options: Options) -> bytes:
    """The client's own bytes, unless calls in it carry another provider's thinking, which Gemini would refuse."""
    if carried.PREFIX.encode() not in body:
        return body
    with shaped("generateContent"):
        request = orjson.loads(body)
        for asked in (request, request.get("generateContentRequest") or {}):
            for content in many(asked.get("contents")):
                for part in many(content.get("parts")):
                    _own(part)
    return orjson.dumps(request)


def _own(part: Json) -> None:
    for key in ("thoughtSignature", "thought_signature"):
        if str(part.get(key, "")).startswith(carried.PREFIX):
            part[key] = thoughts.SKIP
