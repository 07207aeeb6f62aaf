"""Converse's stop reasons and usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.metering.usage import Usage

STOPS = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
    "model_context_window_exceeded": "model_context_window_exceeded",
}


def usage_of(usage: Mapping[str, Any] | None) -> Usage | None:
    """`inputTokens` already excludes what the cache gave or took."""
    if not usage or "inputTokens" not in usage:
        return None
    written = usage.get("cacheWriteInputTokens") or 0
    hour = sum(
        each.get("inputTokens") or 0 for each in usage.get("cacheDetails") or () if each.get("ttl") == "1h"
    )
    return Usage(
        input=usage["inputTokens"],
        output=usage.get("outputTokens") or 0,
        cache_read=usage.get("cacheReadInputTokens") or 0,
        cache_write=max(0, written - hour),
        cache_write_1h=hour,
    )
