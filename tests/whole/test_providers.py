"""A whole gateway from a file, in front of every kind of provider: each official SDK reaches each of them, streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from gateway.types import Receive, Scope, Send
from tests.dialects import specified_bedrock, specified_chat, specified_gemini, specified_responses
from tests.llm.test_translating import EVENTS, FRAMES, INVOKED, SSE
from tests.whole.running import KEY, POLICIES, Whole, served, whole

ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "/v1/messages": (SSE, EVENTS),
    "/chat/completions": (SSE, specified_chat.PARALLEL),
    "/responses": (SSE, specified_responses.PARALLEL),
    ":streamRawPredict": (SSE, EVENTS),
    ":streamGenerateContent": (SSE, specified_gemini.PARALLEL),
    "/invoke-with-response-stream": (FRAMES, specified_bedrock.invoke(*INVOKED)),
    "/converse-stream": (FRAMES, specified_bedrock.PARALLEL),
}
# The model's name here, and the path and the credential with which its provider is asked.
MODELS = {
    "claude-a": ("/v1/messages", "x-api-key"),
    "gpt-x": ("/v1/responses", "authorization"),
    "llama-x": ("/v1/chat/completions", "authorization"),
    "claude-b": ("/model/us.anthropic.claude-x/invoke-with-response-stream", "authorization"),
    "nova": ("/model/amazon.nova-x/converse-stream", "authorization"),
    "claude-v": ("/v1/projects/eng/locations/eu/publishers/anthropic/models/claude-x:streamRawPredict", "authorization"),
    "gemini-v": ("/v1/projects/eng/locations/eu/publishers/google/models/gemini-x:streamGenerateContent", "authorization"),
    "gemini-s": ("/v1beta/models/gemini-x:streamGenerateContent", "x-goog-api-key"),
}  # fmt: skip
FILE = """
store: "memory:"
telemetry: {log: 'off'}
routes:
- path: /
  llm:
    providers:
      anthropic: {base_url: "${UP}", api_key: sk-up}
      openai: {base_url: "${UP}/v1", api_key: sk-up}
      groq: {base_url: "${UP}/v1", api_key: sk-up}
      bedrock: {base_url: "${UP}", api_key: sk-up, region: us-east-1}
      vertex-eng: {type: vertex, base_url: "${UP}/v1/projects/{project}/locations/{location}", project: eng, location: eu, api_key: sk-up}
      gemini: {base_url: "${UP}/v1beta", api_key: sk-up}
    models:
    - {match: claude-a, to: anthropic}
    - {match: gpt-x, to: openai}
    - {match: llama-x, to: groq}
    - {match: claude-b, to: bedrock/us.anthropic.claude-x}
    - {match: nova, to: bedrock/amazon.nova-x}
    - {match: claude-v, to: vertex-eng/claude-x}
    - {match: gemini-v, to: vertex-eng/gemini-x}
    - {match: gemini-s, to: gemini/gemini-x}
"""


@dataclass
class Providers:
    """All of them on one port: what was asked, and the specified stream of each path."""

    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["method"] == "GET":  # they list no models
            await send({"type": "http.response.start", "status": 404, "headers": []})
            return await send({"type": "http.response.body", "body": b"{}"})
        self.asked.append((scope["path"], headers, json.loads(body)))
        media, stream = next(answer for path, answer in ANSWERS.items() if scope["path"].endswith(path))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media)]})
        await send({"type": "http.response.body", "body": stream})


@asynccontextmanager
async def gateway(text: str = FILE) -> AsyncIterator[tuple[Whole, Providers]]:
    providers = Providers()
    async with served(providers) as where, whole(POLICIES + text, UP=where) as running:
        yield running, providers


Words = tuple[str, list[tuple[str, Any]]]
TOOL = {
    "name": "a",
    "description": "does",
    "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
FUNCTION = {"name": "a", "description": "does", "parameters": TOOL["input_schema"]}
GO: Any = [{"role": "user", "content": "go"}]


async def _messages(client: Any, model: str) -> Words:
    async with client as open_client, open_client.messages.stream(
        model=model, max_tokens=50, messages=GO, tools=[TOOL]
    ) as stream:  # fmt: skip
        final = await stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("tool_use", 10)
    text = "".join(block.text for block in final.content if block.type == "text")
    return text, [(block.name, block.input) for block in final.content if block.type == "tool_use"]


async def by_anthropic(url: str, model: str) -> Words:
    return await _messages(anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0), model)


async def by_bedrock(url: str, model: str) -> Words:
    client = anthropic.AsyncAnthropicBedrock(base_url=url, api_key=KEY, aws_region="us-east-1", max_retries=0)
    return await _messages(client, model)


async def by_vertex(url: str, model: str) -> Words:
    client = anthropic.AsyncAnthropicVertex(
        base_url=url + "/v1", access_token=KEY, project_id="mine", region="us", max_retries=0
    )
    return await _messages(client, model)


async def by_chat(url: str, model: str) -> Words:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0) as client:
        tools: Any = [{"type": "function", "function": FUNCTION}]
        async with client.chat.completions.stream(model=model, messages=GO, tools=tools) as stream:
            message = (await stream.get_final_completion()).choices[0].message
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    return message.content or "", calls


async def by_responses(url: str, model: str) -> Words:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0) as client:
        tools: Any = [{"type": "function", "strict": False, **FUNCTION}]
        async with client.responses.stream(model=model, input="go", tools=tools) as stream:
            final = await stream.get_final_response()
    calls = [(item.name, json.loads(item.arguments)) for item in final.output if item.type == "function_call"]
    return final.output_text, calls


async def by_gemini(url: str, model: str) -> Words:
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url)).aio
    declared = types.FunctionDeclaration(name="a", parameters_json_schema=TOOL["input_schema"])
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    text, calls = "", []
    async for chunk in await client.models.generate_content_stream(model=model, contents="go", config=config):
        for part in chunk.candidates[0].content.parts or ():  # type: ignore[index, union-attr]
            text += part.text or ""
            calls += [(part.function_call.name, part.function_call.args)] if part.function_call else []
    await client.aclose()
    return text, calls


CLIENTS: list[Callable[[str, str], Awaitable[Words]]] = [
    by_anthropic, by_bedrock, by_vertex, by_chat, by_responses, by_gemini,
]  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_each_sdk_reaches_each_provider(client: Callable[[str, str], Awaitable[Words]]) -> None:
    async with gateway() as (running, providers):
        for model, (path, credential) in MODELS.items():
            text, calls = await client(running.url, model)
            assert (text, calls[0]) == ("On it.", ("a", {"n": 1})), model
            asked, headers, body = providers.asked[-1]
            if (client, model) == (by_chat, "gpt-x"):  # OpenAI speaks it, too: passed through
                path = "/v1/chat/completions"
            assert asked == path
            assert headers[credential].removeprefix("Bearer ") == "sk-up"
            assert KEY not in str(headers) + str(body)
        records = await running.records(len(MODELS))
        assert {record.outcome for record in records} == {"ok"}
        assert {record.usage.output for record in records if record.usage} == {10}


SEED = """
store: "memory:"
telemetry: {log: 'off'}
routes:
- path: /
  llm:
    providers:
      vertex: {base_url: "${UP}/v1/projects/{project}/locations/{location}", project: developers-369321, location: global, api_key: sk-up}
    models:
    - match: "*"
      when: 'request.headers["x-solo-org"] == "engineering"'
      to: vertex
      model: |
        request.path.endsWith(":streamRawPredict") || request.path.endsWith(":rawPredict") ?
        request.path.regexReplace("^.*/publishers/anthropic/models/(.+?):.*", "$${1}") :
        llmRequest.model
"""


async def test_the_third_seeds_expression_finds_the_model_in_a_vertex_clients_path() -> None:
    org = {"x-solo-org": "engineering"}
    async with gateway(SEED) as (running, providers):
        client = anthropic.AsyncAnthropicVertex(
            base_url=running.url + "/v1",
            access_token=KEY,
            project_id="mine",
            region="us",
            max_retries=0,
            default_headers=org,
        )
        await _messages(client, "claude-opus-4-7@20260401")
        await _messages(
            anthropic.AsyncAnthropic(base_url=running.url, api_key=KEY, default_headers=org),
            "claude-sonnet-4-6",
        )
        base = "/v1/projects/developers-369321/locations/global/publishers/anthropic/models/"
        assert [path for path, _, _ in providers.asked] == [
            base + "claude-opus-4-7@20260401:streamRawPredict",
            base + "claude-sonnet-4-6:streamRawPredict",
        ]
        async with httpx.AsyncClient(base_url=running.url, headers=running.bearer) as other:
            refused = await other.post("/v1/messages", json={"model": "m", "max_tokens": 1, "messages": GO})
            assert refused.status_code == 404
