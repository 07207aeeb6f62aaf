"""The hub's `usage` object and the gateway's `Usage`: the same figures, written in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert

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
_Tokens = Annotated[int, Meta(ge=0)] | None


class _Creation(Struct):
    ephemeral_1h_input_tokens: _Tokens = 0


class _Details(Struct):
    thinking_tokens: _Tokens = 0


class _Told(Struct):
    input_tokens: _Tokens = 0
    output_tokens: _Tokens = 0
    cache_read_input_tokens: _Tokens = 0
    cache_creation_input_tokens: _Tokens = 0
    cache_creation: _Creation | None = None
    output_tokens_details: _Details | None = None
    reasoning_tokens: _Tokens = 0
    estimated: bool | None = False


def _read(usage: Mapping[str, Any]) -> Usage:
    try:
        told = convert(usage, _Told)
    except ValidationError:
        told = convert(dict(filter(_understood, usage.items())), _Told)
    creation, details = told.cache_creation, told.output_tokens_details
    hour = creation.ephemeral_1h_input_tokens or 0 if creation is not None else 0
    written = told.cache_creation_input_tokens or 0
    thought = details.thinking_tokens or 0 if details is not None else 0
    return Usage(
        told.input_tokens or 0,
        told.output_tokens or 0,
        told.cache_read_input_tokens or 0,
        written - hour if written > hour else 0,
        hour,
        told.reasoning_tokens or thought,
        bool(told.estimated),
    )


def _understood(figure: tuple[str, Any]) -> bool:
    """What a provider sends instead of a number of tokens counts as nothing."""
    try:
        convert(dict([figure]), _Told)
    except ValidationError:
        return False
    return True


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
