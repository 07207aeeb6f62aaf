"""What an SDK made of an answer, in words that every wire has: so that two wires can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.llm.dialects.protocol import Json
from tests.dialects import oracles, oracles_google

# What each SDK's stop reason is in the hub's terms; several of a provider's may mean one.
STOPS = {
    "STOP": "end_turn", "MAX_TOKENS": "max_tokens", "BLOCKED": "refusal", "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use",
    "content_filter": "refusal", "completed": "end_turn", "complete": "end_turn", "eos": "end_turn", "max_output_tokens": "max_tokens", "stop_sequence": "end_turn",
}  # fmt: skip
REFUSALS = {"SAFETY", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "TIRED_OF_THIS"}

STREAMS: dict[str, Callable[[bytes], Json]] = {
    "anthropic": oracles.anthropic_stream,
    "gemini": oracles_google.gemini_stream,
    "openai-chat": oracles.chat_stream,
    "openai-responses": oracles.responses_stream,
}
ANSWERS: dict[str, Callable[[Json], Json]] = {
    "anthropic": oracles.anthropic_words,
    "gemini": oracles_google.gemini_answer,
    "openai-chat": oracles.chat_answer,
    "openai-responses": oracles.responses_answer,
}


def plain(words: Json) -> Json:
    """Calls make an end a tool_use, thoughts are one text, and arguments are plain JSON."""
    said = words["stop"] or "stop"  # Snowflake gives no reason
    stop = "refusal" if said in REFUSALS or words.get("refused") else STOPS.get(said, said)
    return {
        **words,
        "calls": [(name, orjson.loads(orjson.dumps(given))) for name, given in words["calls"]],
        "stop": "tool_use" if words["calls"] and stop == "end_turn" else stop,
        "thoughts": "".join(words.get("thoughts") or ()),
    }


def differences(upstream: str, meant: Json, client: str, told: Json) -> dict[str, tuple[Any, Any]]:
    """Where the client's SDK reads something else than the provider's own."""
    meant, told = plain(meant), plain(told)
    compared = ["text", "calls"]
    if client != "openai-responses" or meant["stop"] != "refusal":  # a refusal is no reason there, but a part
        compared.append("stop")
    if meant["usage"]:
        compared.append("usage")
    if "openai-chat" not in (upstream, client):  # its SDK knows no thoughts
        compared.append("thoughts")
    return {key: (meant[key], told[key]) for key in compared if meant[key] != told[key]}
