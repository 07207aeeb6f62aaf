"""Responses to Responses: the bytes go through, except reasoning that another maker signed and OpenAI would refuse."""

from __future__ import annotations

import re
from contextlib import suppress

import orjson

from gateway.llm.dialects import openai_errors, openai_usage
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.frames import Sieve, load
from gateway.llm.dialects.openai_responses.answers import CUTS
from gateway.llm.dialects.openai_responses.reasoning import WRAPPED
from gateway.llm.dialects.passage import fields_of, value_of, with_fields
from gateway.llm.dialects.protocol import ErrorInfo, Json, Options
from gateway.metering.usage import Usage

_MARKS = re.compile(
    rb"event:\s*(?:response\.(?:completed|incomplete|failed)|error)\s"
    rb'|"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"'
)


def forward(body: bytes, options: Options) -> bytes:
    mixed = WRAPPED.encode() in body
    if options.asked == options.model and not mixed:
        return body
    changes: dict[str, object] = {"model": options.model}
    if mixed:
        given = value_of(fields_of(body), "input")
        if isinstance(given, list):
            changes["input"] = [item for item in given if not _foreign(item)]
    return with_fields(body, changes)


def _foreign(item: object) -> bool:
    return isinstance(item, dict) and str(item.get("encrypted_content") or "").startswith(WRAPPED)


class Watcher:
    __slots__ = ("_sieve", "error", "finished", "stop_reason", "usage")

    def __init__(self) -> None:
        self._sieve = Sieve(_MARKS)
        self.usage: Usage | None = None
        self.stop_reason = ""
        self.finished = False
        self.error: ErrorInfo | None = None

    def feed(self, chunk: bytes) -> None:
        for data in self._sieve.feed(chunk):
            with suppress(*MISSHAPEN):  # not ours to judge: it passes
                self._take(load(data))

    def _take(self, found: Json) -> None:
        kind, response = found.get("type"), found.get("response") or {}
        self.usage = openai_usage.of_responses(response.get("usage")) or self.usage
        if kind in ("response.failed", "error"):
            self.error = openai_errors.of_event(response.get("error") or found.get("error") or found)
        elif kind == "response.incomplete":
            reason = (response.get("incomplete_details") or {}).get("reason") or ""
            self.stop_reason, self.finished = CUTS.get(reason, "max_tokens"), True
        elif kind == "response.completed":
            calls = any(
                item.get("type") in ("function_call", "custom_tool_call")
                for item in response.get("output") or ()
            )
            self.stop_reason, self.finished = "tool_use" if calls else "end_turn", True


def watcher() -> Watcher:
    return Watcher()


def usage_of(answer: bytes) -> Usage | None:
    with suppress(*MISSHAPEN):
        return openai_usage.of_responses(orjson.loads(answer).get("usage"))
    return None
