"""Specified chat streams, after the wire facts of OpenAI and its compatible providers. None of them was recorded."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.llm.dialects.protocol import Json

DONE = b"data: [DONE]\n\n"
USAGE: Json = {
    "prompt_tokens": 43,
    "completion_tokens": 10,
    "total_tokens": 53,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
FIGURES: Json = {
    "input_tokens": 10,
    "output_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 3,
    "reasoning_tokens": 4,
}


def chunk(delta: Json | None, finish: str | None = None, **more: Any) -> bytes:
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    )
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": choices,
    }
    return b"data: " + orjson.dumps({**head, **more}) + b"\n\n"


def first(**delta: Any) -> bytes:
    return chunk({"role": "assistant", "content": "", "refusal": None, **delta}, usage=None)


def call(index: int, arguments: str, **named: str) -> Json:
    head = {key: named[key] for key in ("id", "type") if key in named}
    function = {"name": named["name"]} if "name" in named else {}
    return {"tool_calls": [{"index": index, **head, "function": {**function, "arguments": arguments}}]}


def begin(index: int, name: str, ident: str) -> bytes:
    return chunk(call(index, "", id=ident, type="function", name=name), usage=None)


def grow(index: int, piece: str) -> bytes:
    return chunk(call(index, piece), usage=None)


def finish(reason: str, usage: Json | None = USAGE) -> bytes:
    tail = chunk(None, usage=usage) if usage else b""
    return chunk({}, reason, usage=None) + tail + DONE


def text(*pieces: str) -> bytes:
    return b"".join(chunk({"content": piece}, usage=None) for piece in pieces)


LONG = orjson.dumps({"text": "é" * 10_000}).decode()

TEXT = first() + text("Hel", "lo, wörld") + finish("stop")
EMPTY = first() + finish("stop")
ONE_TOOL = (
    first(content=None)
    + begin(0, "get", "call_a")
    + grow(0, '{"pa')
    + grow(0, 'th":"/x"}')
    + finish("tool_calls")
)
NO_ARGUMENTS = first(content=None) + begin(0, "now", "call_a") + finish("tool_calls")
LONG_ARGUMENTS = (
    first(content=None)
    + begin(0, "put", "call_a")
    + b"".join(grow(0, LONG[at : at + 97]) for at in range(0, len(LONG), 97))
    + finish("tool_calls")
)
PARALLEL = (
    first()
    + text("On it.")
    + begin(0, "a", "call_a")
    + grow(0, '{"n":1}')
    + begin(1, "b", "call_b")
    + grow(1, '{"n":2}')
    + begin(2, "c", "call_c")
    + grow(2, '{"n":3}')
    + finish("tool_calls")
)
INTERLEAVED = (
    first()
    + begin(0, "a", "call_a")
    + begin(1, "b", "call_b")
    + grow(0, '{"n":')
    + grow(1, '{"n":')
    + grow(0, "1}")
    + grow(1, "2}")
    + finish("tool_calls")
)
# Mistral, Groq: usage with the last choice.
ONE_CHUNK = chunk({"role": "assistant", "content": "All at once."}, "stop", usage=USAGE) + DONE
REASONING = (
    chunk({"role": "assistant", "content": None, "reasoning_content": "Let me "})
    + chunk({"content": None, "reasoning_content": "think."})
    + text("Four.")
    + finish("stop")
)
OPENROUTER = (
    b": OPENROUTER PROCESSING\n\n"
    + chunk(
        {
            "role": "assistant",
            "content": "",
            "reasoning": "Hm.",
            "reasoning_details": [{"type": "reasoning.text"}],
        }
    )
    + text("Four.")
    + chunk({}, "stop", usage=USAGE)
    + DONE
)
MISTRAL_PARTS = (
    chunk(
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}],
        }
    )
    + chunk({"content": [{"type": "text", "text": "Four."}]}, "stop", usage=USAGE)
    + DONE
)
REFUSAL = first() + chunk({"refusal": "I cannot "}) + chunk({"refusal": "help."}) + finish("stop")
FILTERED = first() + text("Well, ") + finish("content_filter")
FILTERED_AT_ONCE = first() + finish("content_filter")
CUT_IN_TOOL = first() + begin(0, "put", "call_a") + grow(0, '{"text":"half') + finish("length")
NO_USAGE = first() + text("abcdefgh") + finish("stop", None)
UNKNOWN = (
    first()
    + b"event: ping\ndata: {}\n\n"
    + chunk({"content": "ok", "channel": "final"}, x_future={"a": 1})
    + finish("stop")
)
GROQ_USAGE = first() + text("ok") + chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}) + DONE

ERROR: Json = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
_ERROR = b"data: " + orjson.dumps(ERROR) + b"\n\n"
ERROR_FIRST = _ERROR
ERROR_INSIDE = first() + text("Hel") + _ERROR
ERROR_BETWEEN = first() + begin(0, "a", "call_a") + grow(0, "{}") + _ERROR
ERROR_AFTER_FINISH = (
    first() + chunk({}, "length") + b'data: {"error":{"code":502,"message":"Bad"},"choices":[]}\n\n' + DONE
)
TRUNCATED = first() + text("Hel")
TRUNCATED_DONE = TRUNCATED + DONE
GARBAGE = first() + text("Hel") + b"data: {oops\n\n"
NONSENSE = first() + b'data: {"choices":[{"index":0,"delta":{"tool_calls":[7]}}]}\n\n'
