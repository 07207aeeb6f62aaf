"""The hub's `usage` object and the gateway's `Usage`: the same figures, written in two ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.llm.dialects.protocol import Json
from gateway.metering.usage import Usage


def write(usage: Usage) -> Json:
    """A hub `usage` object (Messages shape: input excludes the cache, output includes the thinking)."""
    body: Json = {
        "input_tokens": max(0, int(usage.input)),
        "output_tokens": max(0, int(usage.output)),
        "cache_read_input_tokens": max(0, int(usage.cache_read)),
        "cache_creation_input_tokens": max(0, int(usage.cache_write + usage.cache_write_1h)),
    }
    if usage.cache_write_1h:
        body["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        body["reasoning_tokens"] = usage.reasoning
    if usage.estimated:
        body["estimated"] = True
    return body


def read(usage: Mapping[str, Any] | None) -> Usage | None:
    """The figures as they are told to a client."""
    return _read(usage) if usage else None


def billed(usage: Mapping[str, Any] | None) -> Usage | None:
    """All that is billed: what Anthropic's servers did on the side is not in the top-level figures."""
    if not usage:
        return None
    total = _read(usage)
    iterations = usage.get("iterations")
    for each in iterations if isinstance(iterations, list) else ():
        if isinstance(each, dict) and each.get("type") in _ASIDE:
            total = _sum(total, _read(each))
    return total


_ASIDE = ("compaction", "advisor_message")


_FIGURES = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
            "reasoning_tokens")  # fmt: skip


def _read(usage: Mapping[str, Any]) -> Usage:
    fresh, output, read, written, reasoning = _whole(map(usage.get, _FIGURES))
    hour = 0
    if creation := usage.get("cache_creation"):
        (hour,) = _inner(creation, "ephemeral_1h_input_tokens")
        written = max(0, written - hour)
    if not reasoning and (details := usage.get("output_tokens_details")):
        (reasoning,) = _inner(details, "thinking_tokens")
    return Usage(fresh, output, read, written, hour, reasoning, bool(usage.get("estimated")))


def _inner(group: Any, name: str) -> list[int]:
    return _whole([group.get(name) if isinstance(group, dict) else None])


def _whole(values: Iterable[Any]) -> list[int]:
    """Nothing where a provider sends something else than a number of tokens."""
    return [value if type(value) is int and value > 0 else 0 for value in values]


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input=one.input + other.input,
        output=one.output + other.output,
        cache_read=one.cache_read + other.cache_read,
        cache_write=one.cache_write + other.cache_write,
        cache_write_1h=one.cache_write_1h + other.cache_write_1h,
        reasoning=one.reasoning + other.reasoning,
        estimated=one.estimated or other.estimated,
    )


def merge(earlier: Json, later: Mapping[str, Any] | None) -> Json:
    """`message_delta.usage` is cumulative: what it names replaces, what it leaves out or nulls stays."""
    named = {key: value for key, value in (later or {}).items() if value is not None}
    kept = {key: value for key, value in earlier.items() if not named or key != "estimated"}
    return {**kept, **named}  # figures that came are no estimate, unless they say so
