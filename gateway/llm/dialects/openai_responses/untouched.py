"""Responses to Responses: the bytes go through, except reasoning that another maker signed and OpenAI would refuse."""

from __future__ import annotations

import re

from gateway.llm.dialects import openai_errors, openai_usage, openai_watch
from gateway.llm.dialects.openai_responses.answers import CUTS
from gateway.llm.dialects.openai_responses.reasoning import WRAPPED
from gateway.llm.dialects.openai_watch import Watcher
from gateway.llm.dialects.passage import fields_of, value_of, with_fields
from gateway.llm.dialects.protocol import Json, Options
from gateway.metering.usage import Usage

_MARKS = tuple(
    map(
        re.compile,
        (rb'"response\.(?:completed|incomplete|failed)"', rb'"type"\s*:\s*"error"', rb"event:\s*error\s"),
    )
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


def watcher() -> Watcher:
    return Watcher(_MARKS, _look)


def _look(seen: Watcher, found: Json) -> None:
    kind, response = found.get("type"), found.get("response") or {}
    seen.usage = openai_usage.of_responses(response.get("usage")) or seen.usage
    if kind in ("response.failed", "error"):
        seen.error = openai_errors.of_event(response.get("error") or found.get("error") or found)
    elif kind == "response.incomplete":
        reason = (response.get("incomplete_details") or {}).get("reason") or ""
        seen.stop_reason, seen.finished = CUTS.get(reason, "max_tokens"), True
    elif kind == "response.completed":
        items = response.get("output") or ()
        calls = any(item.get("type") in ("function_call", "custom_tool_call") for item in items)
        seen.stop_reason, seen.finished = "tool_use" if calls else "end_turn", True


def usage_of(answer: bytes) -> Usage | None:
    return openai_watch.usage_of(answer, openai_usage.of_responses)
