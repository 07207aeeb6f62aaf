"""Apps to stand behind a guard, and secrets in a form that no other scanner stumbles over."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Sequence
from typing import Any

from gateway import body
from gateway.call import Call
from gateway.types import App, Receive, Scope, Send

# Well-formed, and nobody's: the letters are made up here.
GITHUB = base64.b64decode("Z2hwX0ExYkMyZEUzZkc0aEk1aks2bE03bk84cFE5clMwdFUxdlcyeA==").decode()
CARD = "4111 1111 1111 1111"


class Echo:
    """Answers with what it was asked, and keeps the bytes."""

    def __init__(self, answer: Any = None, *, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.answer = answer
        self.headers = list(headers)
        self.asked = b""
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = dict(scope)
        call = Call.of(scope)
        self.asked = await body.read(scope, receive)
        assert call.body == self.asked
        said = self.answer if self.answer is not None else {"ok": True}
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(data)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})


def stream(frames: Sequence[bytes], *, went: list[int] | None = None) -> App:
    """Sends these chunks one by one; `went` counts how many it came to send."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await body.read(scope, receive)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for frame in frames:
            if went is not None:
                went.append(len(frame))
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def event(data: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def anthropic(*texts: str, kind: str = "text") -> list[bytes]:
    """A specified stream of one block whose text comes in these pieces."""
    key = {"text": "text", "tool": "partial_json"}[kind]
    start = (
        {"type": "text", "text": ""}
        if kind == "text"
        else {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {}}
    )
    delta = {"text": "text_delta", "tool": "input_json_delta"}[kind]
    return [
        event({"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": []}}, "message_start"),
        event({"type": "content_block_start", "index": 0, "content_block": start}, "content_block_start"),
        event({"type": "ping"}, "ping"),
        *(event({"type": "content_block_delta", "index": 0, "delta": {"type": delta, key: t}}, "content_block_delta") for t in texts),
        event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}, "message_delta"),
        event({"type": "message_stop"}, "message_stop"),
    ]  # fmt: skip


def chat(*texts: str) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event(
            {
                "id": "c1",
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": t}) for t in texts),
        chunk({}, "stop"),
        b"data: [DONE]\n\n",
    ]


def responses(*texts: str) -> list[bytes]:
    whole = "".join(texts)
    item = {
        "type": "message",
        "id": "m1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": whole}],
    }
    events = [
        *(
            {
                "type": "response.output_text.delta",
                "item_id": "m1",
                "output_index": 0,
                "content_index": 0,
                "delta": t,
            }
            for t in texts
        ),
        {
            "type": "response.output_text.done",
            "item_id": "m1",
            "output_index": 0,
            "content_index": 0,
            "text": whole,
        },
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r1", "output": [item], "instructions": "be kind"}},
    ]
    return [event(each, str(each["type"])) for each in events]


def gemini(*texts: str) -> list[bytes]:
    def chunk(text: str, **more: str) -> bytes:
        return event(
            {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, **more}]}
        )

    return [*(chunk(t) for t in texts[:-1]), chunk(texts[-1], finishReason="STOP")]


PATHS = {
    "anthropic": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "gemini": "/v1beta/models/gemini-3/:streamGenerateContent".replace("/:", ":"),
}
STREAMS = {"anthropic": anthropic, "openai-chat": chat, "openai-responses": responses, "gemini": gemini}


def read(dialect: str, data: bytes) -> str:
    """The text of a stream, as its client puts it together from the deltas."""
    text = ""
    for line in data.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        tree = json.loads(line[6:])
        delta = tree.get("delta")
        if dialect == "anthropic" and tree["type"] == "content_block_delta":
            text += delta.get("text", "") + delta.get("partial_json", "")
        elif dialect == "openai-chat":
            text += "".join(c["delta"].get("content") or "" for c in tree.get("choices", ()))
        elif dialect == "openai-responses" and str(tree["type"]).endswith(".delta"):
            text += delta
        elif dialect == "gemini":
            text += "".join(p["text"] for c in tree.get("candidates", ()) for p in c["content"]["parts"])
    return text


def cut_text(text: str, *, seed: int, most: int = 9) -> list[str]:
    chance, pieces = random.Random(seed), []
    while text:
        size = chance.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces
