"""google-genai reading bytes that a test gives it, in the plain words of `oracles`; and the requests that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import orjson
from google import genai
from google.genai import types

from gateway.llm.dialects.protocol import Json


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> genai.Client:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return genai.Client(
        api_key="k", http_options=types.HttpOptions(base_url="http://upstream.test", httpx_client=http)
    )


def serving(body: bytes, media: str, status: int = 200) -> genai.Client:
    return client(lambda _: httpx2.Response(status, headers={"content-type": media}, content=body))


def gemini_stream(body: bytes) -> Json:
    google = serving(body, "text/event-stream")
    return words(list(google.models.generate_content_stream(model="m", contents="hi")))


def gemini_answer(body: Json) -> Json:
    google = serving(orjson.dumps(body), "application/json")
    return words([google.models.generate_content(model="m", contents="hi")])


def words(chunks: list[types.GenerateContentResponse]) -> Json:
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or ()
        if candidate.content
        for part in candidate.content.parts or ()
    ]
    finishes = [
        candidate.finish_reason
        for chunk in chunks
        for candidate in chunk.candidates or ()
        if candidate.finish_reason
    ]
    usage = [
        chunk.usage_metadata
        for chunk in chunks
        if chunk.usage_metadata and chunk.usage_metadata.prompt_token_count is not None
    ]
    blocked = any(chunk.prompt_feedback and chunk.prompt_feedback.block_reason for chunk in chunks)
    return {
        "text": "".join(part.text for part in parts if part.text and not part.thought),
        "calls": [(part.function_call.name, part.function_call.args or {}) for part in parts if part.function_call],
        "thoughts": "".join(part.text for part in parts if part.text and part.thought),
        "stop": "BLOCKED" if blocked else finishes[-1].value if finishes else None,
        "usage": (usage[-1].prompt_token_count + (usage[-1].tool_use_prompt_token_count or 0), _output(usage[-1]),
                  usage[-1].cached_content_token_count or 0) if usage else None,
    }  # fmt: skip


def _output(usage: types.GenerateContentResponseUsageMetadata) -> int:
    return (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


def request_of(ask: Callable[[genai.Client], Any]) -> tuple[str, Json]:
    """The path and body that google-genai sends when it is asked so."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"candidates": [], "totalTokens": 1})

    ask(client(answer))
    return str(seen[0].url), orjson.loads(seen[0].content)
