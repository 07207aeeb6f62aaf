"""The providers' own SDKs, reading bytes that a test gives them: what they make of a stream is what it means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import orjson
from openai.types.chat import ChatCompletionMessage

from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Json


def _serving(body: bytes, media: str, status: int = 200) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": media}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


@contextmanager
def openai_serving(
    body: bytes, media: str = "text/event-stream", status: int = 200
) -> Iterator[openai.OpenAI]:
    with (
        _serving(body, media, status) as http,
        openai.OpenAI(
            api_key="k", base_url="http://upstream.test/v1", http_client=http, max_retries=0
        ) as client,
    ):
        yield client


@contextmanager
def anthropic_serving(body: bytes, media: str = "text/event-stream") -> Iterator[anthropic.Anthropic]:
    with (
        _serving(body, media) as http,
        anthropic.Anthropic(
            api_key="k", base_url="http://upstream.test", http_client=http, max_retries=0
        ) as client,
    ):
        yield client


@contextmanager
def bedrock_serving(body: bytes, media: str) -> Iterator[anthropic.AnthropicBedrock]:
    with (
        _serving(body, media) as http,
        anthropic.AnthropicBedrock(
            aws_access_key="AKID",
            aws_secret_key="secret",
            aws_region="us-east-1",
            http_client=http,
            max_retries=0,
        ) as client,
    ):
        yield client


def chat_stream(body: bytes) -> Json:
    """What the SDK's accumulator makes of a chat stream, in plain words."""
    with (
        openai_serving(body) as client,
        client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as stream,
    ):
        try:
            whole: Any = stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as cut:
            whole = cut.completion
    return chat_words(whole)


def chat_answer(body: Json) -> Json:
    with openai_serving(orjson.dumps(body), "application/json") as client:
        return chat_words(
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        )


def _said(content: Any) -> str:
    """A text; of Mistral's thinking models a list of parts, which the SDK hands on as they are."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def chat_words(whole: Any) -> Json:
    choice = whole.choices[0]
    if choice.message is None:  # Azure has filtered it
        choice.message = ChatCompletionMessage(role="assistant")
    calls = [
        (call.function.name, parse(call.function.arguments or ""))
        if call.type != "custom"
        else (call.custom.name, call.custom.input)
        for call in choice.message.tool_calls or ()
    ]
    usage = whole.usage
    return {
        "refused": bool(choice.message.refusal),
        "text": _said(choice.message.content) + (choice.message.refusal or ""),
        "calls": calls,
        "stop": choice.finish_reason,
        "usage": usage
        and (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0,
        ),
    }


def responses_stream(body: bytes) -> Json:
    """What the SDK's accumulator makes of a Responses stream; every event is of a type that it knows."""
    with openai_serving(body) as client, client.responses.stream(model="m", input="hi") as stream:
        last: Any = None
        for event in stream:
            last = event
    return responses_words(last.response)


def responses_answer(body: Json) -> Json:
    with openai_serving(orjson.dumps(body), "application/json") as client:
        return responses_words(client.responses.create(model="m", input="hi"))


def responses_words(response: Any) -> Json:
    texts, calls, thoughts = [], [], []
    for item in response.output:
        if item.type == "message":
            texts += [part.text if part.type == "output_text" else part.refusal for part in item.content]
        elif item.type == "function_call":
            calls.append((item.name, parse(item.arguments)))
        elif item.type == "custom_tool_call":
            calls.append((item.name, item.input))
        elif item.type == "reasoning":
            thoughts.append("\n\n".join(part.text for part in item.summary or item.content or ()))
    usage = response.usage
    return {
        "text": "".join(texts),
        "calls": calls,
        "thoughts": [text for text in thoughts if text],
        "stop": response.incomplete_details.reason if response.incomplete_details else response.status,
        "usage": usage
        and (usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens),
    }


def anthropic_stream(body: bytes) -> Json:
    with (
        anthropic_serving(body) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        return anthropic_words(stream.get_final_message().model_dump(mode="json"))


def bedrock_stream(body: bytes) -> Json:
    media = "application/vnd.amazon.eventstream"
    with (
        bedrock_serving(body, media) as client,
        client.messages.stream(
            model="anthropic.claude-x", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        return anthropic_words(stream.get_final_message().model_dump(mode="json"))


def anthropic_words(message: Json) -> Json:
    """A message, as an SDK's or as the hub's, in plain words."""
    content = message["content"]
    usage = message.get("usage") or {}
    cached, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    return {
        "text": "".join(block["text"] for block in content if block["type"] == "text"),
        "calls": [(block["name"], block["input"]) for block in content if block["type"] == "tool_use"],
        "thoughts": [block["thinking"] for block in content if block["type"] == "thinking"],
        "stop": message["stop_reason"],
        "usage": (
            (usage.get("input_tokens") or 0) + cached + written,
            usage.get("output_tokens") or 0,
            cached,
        ),
    }
