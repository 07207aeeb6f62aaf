"""Gemini's token counts: the prompt includes what was cached, and thoughts stand beside the answer's tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.llm.dialects.protocol import Json
from gateway.metering.usage import Usage


def usage_of(metadata: Mapping[str, Any] | None) -> Usage | None:
    if not isinstance(metadata, dict) or "promptTokenCount" not in metadata:
        return None
    prompt, cached, asked, answer, thoughts, total = (
        value if isinstance(value := metadata.get(key), int) else 0
        for key in ("promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount",
                    "thoughtsTokenCount", "totalTokenCount")
    )  # fmt: skip
    inside = bool(thoughts) and prompt + asked + answer == total
    return Usage(
        input=max(0, prompt - cached) + asked,
        output=max(0, answer if inside else answer + thoughts),
        cache_read=max(0, cached),
        reasoning=max(0, thoughts),
    )


def metadata_of(usage: Usage) -> Json:
    """The same, said in Gemini's way."""
    figures = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": max(0, usage.output - usage.reasoning),
        "totalTokenCount": usage.total,
    }
    if usage.reasoning:
        figures["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read:
        figures["cachedContentTokenCount"] = usage.cache_read
    return figures
