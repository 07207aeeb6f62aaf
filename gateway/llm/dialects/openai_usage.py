"""OpenAI's two usage objects, and the hub's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.llm.dialects.protocol import Json
from gateway.metering.usage import Usage


def of_chat(usage: Mapping[str, Any] | None) -> Usage | None:
    """Chat's figures. DeepSeek, Moonshot and Hugging Face put the cached tokens elsewhere; xAI counts reasoning apart."""
    if not usage:
        return None
    details = usage.get("prompt_tokens_details") or {}
    cached = (
        details.get("cached_tokens")
        or usage.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or 0
    )
    prompt, output = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if reasoning and usage.get("total_tokens") == prompt + output + reasoning:
        output += reasoning
    return _usage(prompt, cached, details.get("cache_write_tokens") or 0, output, reasoning)


def of_responses(usage: Mapping[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    details = usage.get("input_tokens_details") or {}
    reasoning = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    return _usage(
        usage.get("input_tokens") or 0,
        details.get("cached_tokens") or 0,
        details.get("cache_write_tokens") or 0,
        usage.get("output_tokens") or 0,
        reasoning,
    )


def _usage(prompt: int, cached: int, written: int, output: int, reasoning: int) -> Usage:
    if cached + written > prompt:
        written = 0  # OpenRouter counts Gemini's tokens as read and as written: they were read
    return Usage(
        input=max(0, prompt - cached - written),
        output=output,
        cache_read=cached,
        cache_write=written,
        reasoning=reasoning,
    )


def to_chat(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def to_responses(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
