"""Specified Anthropic streams, after the wire facts of the Messages API. None of them was recorded."""

from __future__ import annotations

from typing import Any

from gateway.llm.dialects.protocol import Json
from tests.dialects.driving import named

START: Json = {"type": "message_start", "message": {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 43, "output_tokens": 1, "cache_read_input_tokens": 9,
                                     "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_1h_input_tokens": 20, "ephemeral_5m_input_tokens": 10}},
}}  # fmt: skip
STOP: Json = {"type": "message_stop"}
PING: Json = {"type": "ping"}


def opened(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def told(reason: str, stop_sequence: str | None = None, **usage: int) -> Json:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": stop_sequence},
        "usage": usage,
    }


def text(index: int, *pieces: str) -> list[Json]:
    return [
        opened(index, type="text", text=""),
        *(delta(index, type="text_delta", text=piece) for piece in pieces),
        closed(index),
    ]


def thinking(index: int, words: str, signature: str) -> list[Json]:
    return [opened(index, type="thinking", thinking="", signature=""), delta(index, type="thinking_delta", thinking=words),
            delta(index, type="signature_delta", signature=signature), closed(index)]  # fmt: skip


def call(index: int, name: str, *pieces: str) -> list[Json]:
    return [opened(index, type="tool_use", id=f"toolu_{index}", name=name, input={}),
            *(delta(index, type="input_json_delta", partial_json=piece) for piece in pieces), closed(index)]  # fmt: skip


EVERYTHING = named(
    START, PING, *thinking(0, "Grüße 🙂", "Sig"), *text(1, 'He said "usage".'), *call(2, "look", '{"at":', ' "x"}'),
    told("tool_use", input_tokens=61, output_tokens=15), STOP,
)  # fmt: skip
STREAMS: dict[str, bytes] = {
    "everything": EVERYTHING,
    "plain text": named(START, *text(0, "Hel", "lo"), told("end_turn", output_tokens=2), STOP),
    "an empty reply": named(START, told("end_turn", output_tokens=1), STOP),
    "letters at which lines are cut": named(START, *text(0, "a\u2028b", "\x85c\u2029"), told("end_turn", output_tokens=2), STOP),
    "a call without arguments, as Anthropic sends it": named(START, *call(0, "now"), told("tool_use", output_tokens=2), STOP),
    "a call whose first piece is empty": named(START, *call(0, "look", "", '{"a":1}'), told("tool_use", output_tokens=2), STOP),
    "three parallel calls": named(START, *call(0, "look", '{"n":1}'), *call(1, "look", '{"n":2}'), *call(2, "now", "{}"), told("tool_use", output_tokens=9), STOP),
    "20 KB of arguments": named(START, *call(0, "write", '{"body":"', *["ü" * 1000] * 20, '"}'), told("tool_use", output_tokens=9), STOP),
    "redacted thinking": named(START, opened(0, type="redacted_thinking", data="Sealed"), closed(0), *text(1, "ok"), told("end_turn", output_tokens=4), STOP),
    "omitted thinking": named(START, opened(0, type="thinking", thinking="", signature=""), delta(0, type="signature_delta", signature="Sig"), closed(0), *call(1, "look", "{}"), told("tool_use", output_tokens=4), STOP),
    "interleaved thinking": named(START, *thinking(0, "a", "S1"), *call(1, "look", "{}"), *thinking(2, "b", "S2"), *call(3, "look", "{}"), told("tool_use", output_tokens=4), STOP),
    "a web search": named(
        START, *text(0, "Let me look."), opened(1, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        delta(1, type="input_json_delta", partial_json='{"query":"x"}'), closed(1),
        opened(2, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[{
            "type": "web_search_result", "title": "X", "url": "https://x", "encrypted_content": "E", "page_age": None}]), closed(2),
        *text(3, "It is X."), *call(4, "look", "{}"), told("tool_use", output_tokens=9), STOP,
    ),
    "the maximum": named(START, *text(0, "cut"), told("max_tokens", output_tokens=4), STOP),
    "a stop sequence": named(START, *text(0, "one "), told("stop_sequence", "END", output_tokens=4), STOP),
    "a refusal after text": named(START, *text(0, "I "), told("refusal", output_tokens=4), STOP),
    "events of new types": named(START, {"type": "weather", "sunny": True}, *text(0, "ok"), told("end_turn", output_tokens=1), STOP),
}  # fmt: skip
NEW_BLOCK = named(
    START,
    opened(0, type="hologram", depth=3),
    closed(0),
    *text(1, "ok"),
    told("end_turn", output_tokens=1),
    STOP,
)
