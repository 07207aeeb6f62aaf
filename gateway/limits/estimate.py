"""How many tokens a prompt has, before anybody counted them.

No tokenizer: the bytes of what the model is given are counted by kind (letters, digits, …) and weighed, a different way for
each family of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec
from msgspec import Raw

from gateway.limits import estimate_given, estimate_tally, estimate_tools
from gateway.limits.estimate_families import Weights, family
from gateway.limits.estimate_given import Given

Many = list[Raw] | dict[str, Any] | str | float | bool | None


class Fields(TypedDict, total=False):
    """What of a request is looked at, whatever its dialect. A conversation's messages are told apart at once."""

    messages: Many
    input: Many
    contents: Many
    system: Raw
    instructions: Raw
    systemInstruction: Raw
    system_instruction: Raw
    prompt: Raw
    tools: Raw
    toolConfig: Raw
    tool_config: Raw
    functions: Raw
    tool_choice: Raw
    response_format: Raw
    text: Raw
    output_config: Raw
    output_format: Raw
    outputConfig: Raw
    generationConfig: Raw
    additionalModelRequestFields: Raw
    thinking: Raw
    reasoning: Raw


_fields = msgspec.json.Decoder(Fields).decode
_SHAPES = frozenset({"response_format", "text", "output_config", "output_format", "outputConfig", "generationConfig",
                     "additionalModelRequestFields"})  # fmt: skip
_THINKING = frozenset({"thinking", "reasoning", "additionalModelRequestFields"})
_EXTRA = _SHAPES | _THINKING


def prompt(body: bytes, model: str = "", *, provider: str = "") -> int:
    """The prompt tokens of a request's JSON, whatever its dialect. Vertex counts otherwise than Gemini's own API."""
    try:
        fields = _fields(body)
        given = estimate_given.read(fields)
    except (ValueError, RecursionError):
        return len(body) // 4
    weights = family(model, provider, contents="contents" in fields)
    found = _words(given, weights) + estimate_tools.tokens(fields, weights, given.found)
    if not _EXTRA.isdisjoint(fields):
        found += _extra(fields, weights)
    return max(1, int(found))


def read(body: bytes) -> Given:
    """What the model is given of a request's JSON."""
    return estimate_given.read(_fields(body))


def _words(given: Given, weights: Weights) -> float:
    tally = given.texts
    if given.thoughts or given.tagged:
        tally = estimate_tally.total((tally, given.thoughts, () if weights.drops else given.tagged))
    found = estimate_tally.tokens(tally, weights)
    found += weights.base + weights.message * given.messages + weights.call * given.calls
    return found + weights.thought * given.signed + _pictures(given, weights)


def _pictures(given: Given, weights: Weights) -> float:
    tokens = 0.0
    for size, glanced in given.pictures:
        if glanced and weights.low:
            tokens += weights.low
        elif size is not None:
            tokens += weights.picture(*size)
    return tokens


def _extra(fields: Mapping[str, Any], weights: Weights) -> float:
    """What is asked for beside the words: an answer by a schema, thinking."""
    shapes, tokens = _section(fields, _SHAPES), 0.0
    if weights.shape and b"chema" in shapes:
        tokens += weights.shape * weights.more * len(shapes) + weights.shaped
    if weights.budgeted and b'"task_budget"' in shapes:
        tokens += weights.budgeted
    if weights.thinking and (thinking := _section(fields, _THINKING)):
        if b'"adaptive"' in thinking:
            tokens += weights.adaptive
        elif b"budget_tokens" in thinking or ("reasoning" in fields and b"none" not in thinking):
            tokens += weights.thinking
    return tokens


def _section(fields: Mapping[str, Any], names: frozenset[str]) -> bytes:
    return b"".join(bytes(raw) for name, raw in fields.items() if name in names)
