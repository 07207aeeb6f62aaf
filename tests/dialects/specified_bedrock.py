"""Specified Bedrock streams: Claude's events in InvokeModel's frames, and Converse's own. None of them was recorded."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from gateway.llm.dialects.eventstream import encode
from gateway.llm.dialects.protocol import Json

METRICS = {"inputTokenCount": 133, "outputTokenCount": 9, "invocationLatency": 800, "firstByteLatency": 200}


def frame(kind: str, body: Json) -> bytes:
    head = ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event"))
    return encode(orjson.dumps({**body, "p": "abcdef"}), headers=head)


def exception(kind: str, message: str) -> bytes:
    head = ((":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception"))
    return encode(orjson.dumps({"message": message}), headers=head)


def chunk(event: Json) -> bytes:
    return frame("chunk", {"bytes": b64encode(orjson.dumps(event)).decode()})


def started(**usage: int) -> Json:
    counted = {"input_tokens": 97, "output_tokens": 1, **usage}
    return {"type": "message_start", "message": {"id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude",
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": counted}}  # fmt: skip


def block(index: int, start: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ended(reason: str, *, usage: Json | None = None) -> list[Json]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage or {"output_tokens": 9},
        },
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
    ]


def said(index: int, *pieces: str) -> list[Json]:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces)
    )


def called(index: int, name: str, ident: str, *pieces: str) -> list[Json]:
    start = {"type": "tool_use", "id": ident, "name": name, "input": {}}
    return block(index, start, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def invoke(*events: Json) -> bytes:
    return b"".join(chunk(event) for event in events)


INVOKE_EVENTS: list[Json] = [
    started(),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": "sig"},
    ),
    *said(1, "Hel", "lo, wörld"),
    *called(2, "get", "toolu_bdrk_1", '{"pa', 'th":"/x"}'),
    *ended("tool_use"),
]
INVOKE = invoke(*INVOKE_EVENTS)


def delta(index: int, **body: Any) -> bytes:
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": body})


def stop(index: int) -> bytes:
    return frame("contentBlockStop", {"contentBlockIndex": index})


def tool(index: int, name: str, ident: str, *pieces: str, **more: str) -> bytes:
    start = frame(
        "contentBlockStart",
        {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": ident, "name": name, **more}}},
    )
    return start + b"".join(delta(index, toolUse={"input": piece}) for piece in pieces) + stop(index)


USAGE: Json = {
    "inputTokens": 10,
    "outputTokens": 10,
    "totalTokens": 53,
    "cacheReadInputTokens": 30,
    "cacheWriteInputTokens": 3,
}
BEGIN = frame("messageStart", {"role": "assistant"})


def finish(reason: str, usage: Json | None = USAGE, **more: Any) -> bytes:
    last = frame("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}) if usage else b""
    return frame("messageStop", {"stopReason": reason, **more}) + last


LONG = orjson.dumps({"text": "é" * 10_000}).decode()
TEXT = BEGIN + delta(0, text="Hel") + delta(0, text="lo, wörld") + stop(0) + finish("end_turn")
EMPTY = BEGIN + finish("end_turn")
ONE_TOOL = BEGIN + tool(0, "get", "tooluse_a", '{"pa', 'th":"/x"}') + finish("tool_use")
NO_ARGUMENTS = BEGIN + tool(0, "now", "tooluse_a") + finish("tool_use")
LONG_ARGUMENTS = (
    BEGIN
    + tool(0, "put", "tooluse_a", *(LONG[at : at + 97] for at in range(0, len(LONG), 97)))
    + finish("tool_use")
)
PARALLEL = (
    BEGIN
    + delta(0, text="On it.")
    + stop(0)
    + tool(1, "a", "tooluse_a", '{"n":1}')
    + tool(2, "b", "tooluse_b", '{"n":2}')
    + finish("tool_use")
)
REASONING = (
    BEGIN
    + delta(0, reasoningContent={"text": "Hm."})
    + delta(0, reasoningContent={"signature": "sig"})
    + stop(0)
    + delta(1, text="Four.")
    + stop(1)
    + finish("end_turn")
)
REDACTED = (
    BEGIN
    + delta(0, reasoningContent={"redactedContent": b64encode(b"EtkE").decode()})
    + stop(0)
    + finish("end_turn")
)
GUARDED = BEGIN + delta(0, text="Well, ") + stop(0) + finish("guardrail_intervened")
STOPPED = (
    BEGIN
    + delta(0, text="a")
    + stop(0)
    + finish("stop_sequence", additionalModelResponseFields={"stop_sequence": "END"})
)
CUT_IN_TOOL = BEGIN + tool(0, "put", "tooluse_a", '{"text":"half') + finish("max_tokens")
CONTEXT_FULL = BEGIN + delta(0, text="a") + stop(0) + finish("model_context_window_exceeded")
PROVIDERS_TOOL = (
    BEGIN
    + tool(0, "nova_code_interpreter", "tooluse_x", '{"snippet":"1"}', type="server_tool_use")
    + frame(
        "contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "tooluse_x"}}}
    )
    + delta(1, toolResult=[{"json": {"stdOut": "1"}}])
    + stop(1)
    + delta(2, text="One.")
    + stop(2)
    + finish("end_turn")
)
UNKNOWN = (
    BEGIN
    + frame("futureEvent", {"x": 1})
    + delta(0, text="ok")
    + delta(0, citation={"x": 1})
    + stop(0)
    + finish("end_turn")
)
NO_METADATA = BEGIN + delta(0, text="abcdefgh") + stop(0) + finish("end_turn", None)

THROTTLED = exception("throttlingException", "Too many requests")
ERROR_FIRST = THROTTLED
ERROR_INSIDE = BEGIN + delta(0, text="Hel") + THROTTLED
ERROR_BETWEEN = BEGIN + delta(0, text="Hel") + stop(0) + THROTTLED
BUSY = BEGIN + exception("serviceUnavailableException", "Busy")
MALFORMED = BEGIN + delta(0, text="Hel") + stop(0) + finish("malformed_tool_use")
TRUNCATED = BEGIN + delta(0, text="Hel")
GARBAGE = BEGIN + b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
NONSENSE = BEGIN + frame("contentBlockDelta", {"delta": 7})
