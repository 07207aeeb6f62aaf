"""What is sent and what the mock upstreams answer: shaped like a coding agent's traffic."""

from __future__ import annotations

import json
from typing import Any

PROSE = (
    "The caller was checked and the request forwarded. Next: read the file, list the directory, run the tests, "
    "and report what failed, with the line and the reason. "
) * 8
WORDS = PROSE.split(" ")
EVENTS = 60

MESSAGE: dict[str, Any] = {
    "id": "msg_01BenchmarkAnswer", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": PROSE[:1130]}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 20950, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1024,
              "output_tokens": 241, "service_tier": "standard"},
}  # fmt: skip
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-Benchmark", "object": "chat.completion", "created": 1741569952, "model": "gpt-4.1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": PROSE[:1000], "refusal": None},
                 "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20950, "completion_tokens": 241, "total_tokens": 21191},
}  # fmt: skip
TOOL_RESULT: dict[str, Any] = {"content": [{"type": "text", "text": PROSE[:600]}], "isError": False}
TOOLS: list[dict[str, Any]] = [
    {"name": name, "description": PROSE[:180],
     "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}
    for name in ("read_file", "list_directory", "delete_file")
]  # fmt: skip
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "read_file", "arguments": {"path": "/workspace/README.md"}}}  # fmt: skip


def messages_events() -> list[bytes]:
    start = {**MESSAGE, "content": [], "stop_reason": None}
    text = [{"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": " " + WORDS[at % len(WORDS)]}} for at in range(EVENTS - 6)]  # fmt: skip
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *text,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": 54}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def chat_events() -> list[bytes]:
    def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {"id": "chatcmpl-Benchmark", "object": "chat.completion.chunk", "created": 1741569952,
                "model": "gpt-4.1", "choices": [choice]}  # fmt: skip

    pieces = [piece({"role": "assistant", "content": ""})]
    pieces += [piece({"content": " " + WORDS[at % len(WORDS)]}) for at in range(EVENTS - 4)]
    pieces += [piece({}, "stop"), {**piece({}), "choices": [], "usage": COMPLETION["usage"]}]
    return [b"data: " + json.dumps(each).encode() + b"\n\n" for each in pieces] + [b"data: [DONE]\n\n"]


def responses_events() -> list[bytes]:
    response = {"id": "resp_Benchmark", "object": "response", "created_at": 1741569952, "model": "gpt-5.4", "output": [],
                "status": "in_progress", "tools": [], "usage": None}  # fmt: skip
    item = {
        "id": "msg_Benchmark",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    words = [" " + WORDS[at % len(WORDS)] for at in range(EVENTS - 8)]
    said = {**part, "text": "".join(words)}
    done = {**item, "status": "completed", "content": [said]}
    usage = {"input_tokens": 20950, "input_tokens_details": {"cached_tokens": 1024}, "output_tokens": 54,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 21004}  # fmt: skip
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **place, "text": said["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": said},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {**response, "status": "completed", "output": [done], "usage": usage}},
    ]  # fmt: skip
    return [
        f"event: {each['type']}\ndata: {json.dumps({**each, 'sequence_number': number})}\n\n".encode()
        for number, each in enumerate(events)
    ]


def gemini_events() -> list[bytes]:
    def chunk(at: int) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "content": {"parts": [{"text": " " + WORDS[at % len(WORDS)]}], "role": "model"},
            "index": 0,
        }
        if at == EVENTS - 1:
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": 20950, "candidatesTokenCount": at + 1, "totalTokenCount": 20951 + at,
                 "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20950}]}  # fmt: skip
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-flash",
                "responseId": "Benchmark"}  # fmt: skip

    return [b"data: " + json.dumps(chunk(at)).encode() + b"\r\n\r\n" for at in range(EVENTS)]


def prompt(size: int) -> str:
    return (PROSE * (size // len(PROSE) + 1))[:size]


def messages(size: int, *, stream: bool = False) -> bytes:
    """A Messages request of about `size` bytes; the larger ones carry tools and a long conversation."""
    turns: list[dict[str, Any]] = [{"role": "user", "content": prompt(min(size, 1200))}]
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "stream": stream,
        "messages": turns,
    }
    if size > 10_000:
        schema = {"type": "object", "properties": {f"field_{n}": {"type": "string", "description": prompt(90)}
                                                   for n in range(8)}}  # fmt: skip
        body["system"] = [{"type": "text", "text": prompt(size // 5)}]
        body["tools"] = [
            {"name": f"tool_{n}", "description": prompt(400), "input_schema": schema} for n in range(15)
        ]
    while size - len(json.dumps(body)) > 500:
        left = size - len(json.dumps(body))
        text = prompt(min(left - 100, 4000))
        turns.append(
            {"role": "assistant" if len(turns) % 2 else "user", "content": [{"type": "text", "text": text}]}
        )
    return json.dumps(body, separators=(",", ":")).encode()


def chat(size: int, *, stream: bool = False) -> bytes:
    body = {"model": "gpt-4.1", "max_tokens": 1024, "stream": stream,
            "messages": [{"role": "user", "content": prompt(size - 120)}]}  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


def chat_with_usage(size: int) -> bytes:
    """Of a client that asks for the figures itself."""
    body = {**json.loads(chat(size, stream=True)), "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def responses(size: int) -> bytes:
    body = {"model": "gpt-5.4", "max_output_tokens": 1024, "stream": True, "store": False,
            "input": [{"role": "user", "content": prompt(size - 140)}]}  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


def generate(size: int) -> bytes:
    body = {"contents": [{"role": "user", "parts": [{"text": prompt(size - 120)}]}],
            "generationConfig": {"maxOutputTokens": 1024}}  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


def tool_call() -> bytes:
    return json.dumps(CALL, separators=(",", ":")).encode()
