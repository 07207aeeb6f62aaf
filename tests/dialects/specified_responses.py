"""Specified Responses streams, after the wire facts of OpenAI's API. None of them was recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.llm.dialects.protocol import Json

USAGE: Json = {
    "input_tokens": 43,
    "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 3},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 53,
}


def response(status: str, output: Iterable[Json] = (), **more: Any) -> Json:
    usage = USAGE if status in ("completed", "incomplete") else None
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": "up", "output": list(output),
            "parallel_tool_calls": True, "temperature": None, "tool_choice": "auto", "tools": [], "top_p": None,
            "usage": usage, **more}  # fmt: skip


def stream(*events: Json) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (event["type"].encode(), orjson.dumps({**event, "sequence_number": number}))
        for number, event in enumerate(events)
    )


def on(kind: str, index: int, **fields: Any) -> Json:
    return {"type": f"response.{kind}", "output_index": index, "item_id": f"item_{index}", **fields}


def begun() -> list[Json]:
    return [
        {"type": "response.created", "response": response("in_progress")},
        {"type": "response.in_progress", "response": response("in_progress")},
    ]


def ended(*items: Json, status: str = "completed", **more: Any) -> Json:
    return {"type": f"response.{status}", "response": response(status, items, **more)}


def message(index: int, text: str) -> Json:
    return {"id": f"item_{index}", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}  # fmt: skip


def call(index: int, name: str, arguments: str, ident: str) -> Json:
    return {"id": f"item_{index}", "type": "function_call", "status": "completed", "call_id": ident, "name": name,
            "arguments": arguments}  # fmt: skip


def reasoning(index: int, *summary: str, secret: str | None = "gAAA-secret") -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": f"item_{index}", "type": "reasoning", "summary": parts, "encrypted_content": secret}


def says(index: int, *pieces: str) -> list[Json]:
    whole = message(index, "".join(pieces))
    part = whole["content"][0]
    return [
        on("output_item.added", index, item={**whole, "status": "in_progress", "content": []}),
        on("content_part.added", index, content_index=0, part={**part, "text": ""}),
        *(
            on("output_text.delta", index, content_index=0, delta=piece, logprobs=[], obfuscation="xyz")
            for piece in pieces
        ),
        on("output_text.done", index, content_index=0, text="".join(pieces), logprobs=[]),
        on("content_part.done", index, content_index=0, part=part),
        on("output_item.done", index, item=whole),
    ]


def calls(index: int, name: str, *pieces: str, ident: str) -> list[Json]:
    whole = call(index, name, "".join(pieces), ident)
    return [
        on("output_item.added", index, item={**whole, "status": "in_progress", "arguments": ""}),
        *(on("function_call_arguments.delta", index, delta=piece) for piece in pieces),
        on("function_call_arguments.done", index, arguments="".join(pieces), name=name),
        on("output_item.done", index, item=whole),
    ]


def thinks(index: int, *parts: str, secret: str | None = "gAAA-secret") -> list[Json]:
    whole = reasoning(index, *parts, secret=secret)
    events = [on("output_item.added", index, item={**whole, "summary": []})]
    for number, text in enumerate(parts):
        at: Json = {"summary_index": number}
        part = {"type": "summary_text", "text": text}
        events += [
            on("reasoning_summary_part.added", index, **at, part={**part, "text": ""}),
            on("reasoning_summary_text.delta", index, **at, delta=text[:3]),
            on("reasoning_summary_text.delta", index, **at, delta=text[3:]),
            on("reasoning_summary_text.done", index, **at, text=text),
            on("reasoning_summary_part.done", index, **at, part=part),
        ]
    return [*events, on("output_item.done", index, item=whole)]


LONG = orjson.dumps({"text": "é" * 10_000}).decode()
LONG_PIECES = [LONG[at : at + 97] for at in range(0, len(LONG), 97)]

TEXT = stream(*begun(), *says(0, "Hel", "lo, wörld"), ended(message(0, "Hello, wörld")))
EMPTY = stream(*begun(), ended())
ONE_TOOL = stream(
    *begun(),
    *calls(0, "get", '{"pa', 'th":"/x"}', ident="call_a"),
    ended(call(0, "get", '{"path":"/x"}', "call_a")),
)
NO_ARGUMENTS = stream(*begun(), *calls(0, "now", "{}", ident="call_a"), ended(call(0, "now", "{}", "call_a")))
LONG_ARGUMENTS = stream(
    *begun(), *calls(0, "put", *LONG_PIECES, ident="call_a"), ended(call(0, "put", LONG, "call_a"))
)
PARALLEL = stream(
    *begun(),
    *says(0, "On it."),
    *calls(1, "a", '{"n":1}', ident="call_a"),
    *calls(2, "b", '{"n":2}', ident="call_b"),
    *calls(3, "c", '{"n":3}', ident="call_c"),
    ended(
        message(0, "On it."),
        call(1, "a", '{"n":1}', "call_a"),
        call(2, "b", '{"n":2}', "call_b"),
        call(3, "c", '{"n":3}', "call_c"),
    ),
)
_A, _B = calls(0, "a", '{"n":', "1}", ident="call_a"), calls(1, "b", '{"n":', "2}", ident="call_b")
INTERLEAVED = stream(
    *begun(), _A[0], _B[0], _A[1], _B[1], _B[2], _A[2], *_B[3:], *_A[3:],
    ended(call(0, "a", '{"n":1}', "call_a"), call(1, "b", '{"n":2}', "call_b")),
)  # fmt: skip
REASONING = stream(
    *begun(),
    *thinks(0, "First.", "Then."),
    *says(1, "Four."),
    ended(reasoning(0, "First.", "Then."), message(1, "Four.")),
)
HIDDEN_REASONING = stream(*begun(), *thinks(0), *says(1, "Four."), ended(reasoning(0), message(1, "Four.")))
TWO_STEPS = stream(
    *begun(),
    *thinks(0, "First.", secret="one"),
    *calls(1, "a", "{}", ident="call_a"),
    *thinks(2, secret="two"),
    *calls(3, "b", "{}", ident="call_b"),
    ended(
        reasoning(0, "First.", secret="one"),
        call(1, "a", "{}", "call_a"),
        reasoning(2, secret="two"),
        call(3, "b", "{}", "call_b"),
    ),
)
OPEN_REASONING = stream(
    *begun(),
    on("output_item.added", 0, item={"id": "item_0", "type": "reasoning", "summary": [], "content": []}),
    on("content_part.added", 0, content_index=0, part={"type": "reasoning_text", "text": ""}),
    on("reasoning_text.delta", 0, content_index=0, delta="Hm."),
    on("reasoning_text.done", 0, content_index=0, text="Hm."),
    on(
        "output_item.done",
        0,
        item={
            "id": "item_0",
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        },
    ),
    *says(1, "Four."),
    ended(message(1, "Four.")),
)
REFUSAL = stream(
    *begun(),
    on("output_item.added", 0, item={**message(0, ""), "content": []}),
    on("content_part.added", 0, content_index=0, part={"type": "refusal", "refusal": ""}),
    on("refusal.delta", 0, content_index=0, delta="I cannot "),
    on("refusal.delta", 0, content_index=0, delta="help."),
    on("refusal.done", 0, content_index=0, refusal="I cannot help."),
    on(
        "output_item.done",
        0,
        item={**message(0, ""), "content": [{"type": "refusal", "refusal": "I cannot help."}]},
    ),
    ended({**message(0, ""), "content": [{"type": "refusal", "refusal": "I cannot help."}]}),
)
FILTERED = stream(
    *begun(),
    *says(0, "Well, "),
    ended(message(0, "Well, "), status="incomplete", incomplete_details={"reason": "content_filter"}),
)
CUT_IN_TOOL = stream(
    *begun(),
    *calls(0, "put", '{"text":"half', ident="call_a")[:2],
    ended({**call(0, "put", '{"text":"half', "call_a"), "status": "incomplete"}, status="incomplete",
          incomplete_details={"reason": "max_output_tokens"}),
)  # fmt: skip
WHOLE_ITEMS = stream(
    *begun(),
    on("output_item.added", 0, item=call(0, "a", "", "call_a")),
    on("output_item.done", 0, item=call(0, "a", '{"n":1}', "call_a")),
    on("output_item.added", 1, item=message(1, "")),
    on("output_item.done", 1, item=message(1, "Done.")),
    ended(call(0, "a", '{"n":1}', "call_a"), message(1, "Done.")),
)
SEARCH = stream(
    *begun(),
    on("output_item.added", 0, item={"id": "ws_1", "type": "web_search_call", "status": "in_progress"}),
    on("web_search_call.searching", 0),
    on("output_item.done", 0, item={"id": "ws_1", "type": "web_search_call", "status": "completed",
                                    "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://t"}]}}),
    *says(1, "Found."),
    ended(message(1, "Found.")),
)  # fmt: skip
UNKNOWN = stream(
    *begun(), {"type": "response.future", "output_index": 0}, *says(0, "ok"), ended(message(0, "ok"), x_new=1)
)

FAILED = {
    "type": "response.failed",
    "response": response("failed", error={"code": "rate_limit_exceeded", "message": "Slow down"}),
}
ERROR_FIRST = stream({"type": "error", "code": "server_error", "message": "Oops", "param": None})
ERROR_NESTED = b'data: {"error": {"message": "Oops", "type": "server_error", "code": null}}\n\n'
FAILED_FIRST = stream(*begun(), FAILED)
FAILED_INSIDE = stream(*begun(), *says(0, "Hel")[:3], FAILED)
FAILED_BETWEEN = stream(*begun(), *says(0, "Hel"), FAILED)
TRUNCATED = stream(*begun(), *says(0, "Hel"))
GARBAGE = stream(*begun()) + b"event: response.output_text.delta\ndata: {oops\n\n"
NONSENSE = stream(*begun(), {"type": "response.output_text.delta"})
