"""Every client reaches every provider through the whole app: bytes in at one end, the client's own SDK at the other."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from typing import Any

import orjson
import pytest
from botocore.parsers import create_parser

from gateway.metering.usage import Usage
from tests.dialects import (
    grammar_openai,
    oracles,
    specified_bedrock,
    specified_chat,
    specified_gemini,
    specified_responses,
)
from tests.dialects.conversations import SCHEMA
from tests.dialects.test_openai_responses_requests import CODEX
from tests.dialects.words import ANSWERS, STREAMS, plain
from tests.driver import Driver
from tests.llm.gateways import MESSAGE, gateway
from tests.llm.scripted import driver, scripted, streamed, whole
from tests.net.upstream import answer, repeat

SSE, FRAMES, JSON = b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/json"
FIGURES = Usage(10, 10, 30, 3)
INVOKED = [
    specified_bedrock.started(input_tokens=10, cache_read_input_tokens=30, cache_creation_input_tokens=3),
    *specified_bedrock.said(0, "On it."),
    *specified_bedrock.called(1, "a", "call_a", '{"n":1}'),
    *specified_bedrock.called(2, "b", "call_b", '{"n":2}'),
    *specified_bedrock.ended("tool_use", usage={"output_tokens": 10}),
]
EVENTS = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in INVOKED)
UPSTREAMS: dict[str, tuple[bytes, bytes]] = {
    "anthropic": (SSE, EVENTS),
    "gemini": (SSE, specified_gemini.PARALLEL),
    "openai-chat": (SSE, specified_chat.PARALLEL.replace(b"call_c", b"call_d")),
    "openai-responses": (SSE, specified_responses.PARALLEL),
    "bedrock": (FRAMES, specified_bedrock.invoke(*INVOKED)),
    "bedrock-converse": (FRAMES, specified_bedrock.PARALLEL),
    "vertex": (SSE, EVENTS),
}
MESSAGES = [{"role": "user", "content": "go"}]
TOOLS = [{"name": "a", "input_schema": SCHEMA}, {"name": "b", "input_schema": SCHEMA}]
FUNCTIONS = [{"type": "function", "function": {"name": "a", "parameters": SCHEMA}}]
VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x"
CLIENTS: dict[str, tuple[str, Any]] = {
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 50, "messages": MESSAGES, "tools": TOOLS, "stream": True}),
    "openai-chat": ("/v1/chat/completions",
                    {"model": "m", "messages": MESSAGES, "tools": FUNCTIONS, "stream": True, "stream_options": {"include_usage": True}}),
    "openai-responses": ("/v1/responses", {**CODEX, "parallel_tool_calls": True, "tools": [t for t in CODEX["tools"] if t["type"] != "web_search"]}),
    "gemini": ("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "go"}]}]}),
    "bedrock": ("/model/claude-x/invoke-with-response-stream",
                {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": MESSAGES, "tools": TOOLS}),
    "vertex": (f"{VERTEX}:streamRawPredict",
               {"anthropic_version": "vertex-2023-10-16", "max_tokens": 50, "messages": MESSAGES, "stream": True}),
}  # fmt: skip
READERS: dict[str, Callable[[bytes], Any]] = {
    **STREAMS,
    "bedrock": oracles.bedrock_stream,
    "vertex": oracles.anthropic_stream,
}


@pytest.mark.parametrize(("client", "upstream"), list(product(CLIENTS, UPSTREAMS)))
async def test_a_stream_reaches_every_client(client: str, upstream: str) -> None:
    path, body = CLIENTS[client]
    media, stream = UPSTREAMS[upstream]
    async with gateway(
        repeat(answer(stream, headers=b"content-type: %b\r\n" % media)), dialects=[upstream]
    ) as gw:
        reply = await gw.drive.post(path, body, headers={"content-type": "application/json"})
        assert reply.status == 200, reply.body
        told = plain(READERS[client](reply.body))
        assert told["text"] == "On it."
        assert told["calls"][:2] == [("a", {"n": 1}), ("b", {"n": 2})]
        assert told["stop"] == "tool_use"
        assert told["usage"] == (43, 10, 30)
        usage = gw.call.usage
        assert usage is not None
        assert (usage.prompt, usage.output, usage.cache_read) == (43, 10, 30)
        kind = reply.headers["content-type"]
        assert kind.startswith((FRAMES if client == "bedrock" else SSE).decode())


COMPLETION = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "up", "usage": specified_chat.USAGE,
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "On it.", "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "a", "arguments": '{"n":1}'}}]}}],
}  # fmt: skip
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [
        {"text": "On it."}, {"toolUse": {"toolUseId": "call_a", "name": "a", "input": {"n": 1}}}]}},
    "stopReason": "tool_use", "usage": specified_bedrock.USAGE, "metrics": {"latencyMs": 1},
}  # fmt: skip
RESPONDED = specified_responses.response(
    "completed",
    [specified_responses.message(0, "On it."), specified_responses.call(1, "a", '{"n":1}', "call_a")],
)
WHOLE: dict[str, Any] = {
    "openai-chat": COMPLETION,
    "openai-responses": RESPONDED,
    "bedrock-converse": CONVERSED,
    "gemini": specified_gemini.SIGNED,
}
ASKED = {
    "anthropic": "/v1/messages",
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "gemini": "/v1beta/models/m:generateContent",
    "bedrock": "/model/claude-x/invoke",
    "vertex": f"{VERTEX}:rawPredict",
}


@pytest.mark.parametrize(
    ("client", "upstream"), [pair for pair in product(CLIENTS, WHOLE) if pair[0] != pair[1]]
)
async def test_a_whole_answer_reaches_every_client(client: str, upstream: str) -> None:
    body = {
        key: value for key, value in CLIENTS[client][1].items() if key not in ("stream", "stream_options")
    }
    async with gateway(
        repeat(answer(orjson.dumps(WHOLE[upstream]), headers=b"content-type: application/json\r\n")),
        dialects=[upstream],
    ) as gw:
        reply = await gw.drive.post(ASKED[client], body)
        assert reply.status == 200, reply.body
        told = plain(ANSWERS.get(client, oracles.anthropic_words)(json.loads(reply.body)))
        assert (told["text"], told["calls"], told["stop"], told["usage"]) == (
            "On it.",
            [("a", {"n": 1})],
            "tool_use",
            (43, 10, 30),
        )


async def test_a_claude_code_in_bedrock_mode_counts_at_a_provider_of_another_wire() -> None:
    inner = orjson.dumps({"anthropic_version": "x", "max_tokens": 1, "messages": MESSAGES})

    body = {"input": {"invokeModel": {"body": b64encode(inner).decode()}}}
    counted = answer(
        b'{"object":"response.input_tokens","input_tokens":11}', headers=b"content-type: application/json\r\n"
    )
    async with gateway(repeat(counted), dialects=["openai-responses"]) as gw:
        reply = await gw.drive.post("/model/claude-x/count-tokens", body)
        assert (reply.status, json.loads(reply.body)) == (200, {"inputTokens": 11})
        assert b"POST /v1/responses/input_tokens " in gw.ups[0].requests[0]


async def test_where_bedrock_cannot_count_an_estimate_says_so() -> None:
    refused = answer(
        b'{"message":"The provided model doesn\'t support counting tokens."}', status=b"400 Bad Request",
        headers=b"content-type: application/json\r\nx-amzn-errortype: ValidationException\r\n",
    )  # fmt: skip
    async with gateway(repeat(refused), dialects=["bedrock"]) as gw:
        reply = await gw.drive.post("/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES})
        assert reply.status == 200
        assert json.loads(reply.body)["input_tokens"] > 0
        assert reply.headers["x-gateway-estimated"] == "true"


async def test_converse_passes_to_bedrock_and_is_metered() -> None:
    async with gateway(
        repeat(answer(specified_bedrock.TEXT, headers=b"content-type: %b\r\n" % FRAMES)), dialects=["bedrock"]
    ) as gw:
        reply = await gw.drive.post("/model/amazon.nova/converse-stream", {"messages": []})
        assert reply.body == specified_bedrock.TEXT
        assert gw.call.usage == FIGURES
        assert gw.ups[0].requests[0].startswith(b"POST /model/amazon.nova/converse-stream ")


async def test_embeddings_pass_and_are_metered() -> None:
    body = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}'
    async with gateway(
        repeat(answer(body, headers=b"content-type: application/json\r\n")), dialects=["openai-chat"]
    ) as gw:
        reply = await gw.drive.post("/v1/embeddings", {"model": "e", "input": "hi", "dimensions": 1})
        assert reply.body == body
        assert gw.call.usage == Usage(8)
        assert json.loads(gw.ups[0].requests[0].partition(b"\r\n\r\n")[2]) == {
            "model": "e",
            "input": "hi",
            "dimensions": 1,
        }
        with oracles.openai_serving(reply.body, "application/json") as client:
            assert client.embeddings.create(model="e", input="hi", encoding_format="float").data[
                0
            ].embedding == [0.5]


ERRORS = [
    ("bedrock", b'{"message":"Too many"}', b"HTTP/1.1 429 Too Many\r\nx-amzn-errortype: ThrottlingException\r\nretry-after: 3\r\n", 429, "rate_limit_error"),
    ("openai-responses", b'{"error":{"message":"Too long","code":"context_length_exceeded"}}', b"HTTP/1.1 400 Bad Request\r\n", 400,
     "invalid_request_error"),
    ("openai-chat", b'{"error":{"message":"Bad key","code":"invalid_api_key"}}', b"HTTP/1.1 401 Unauthorized\r\n", 500, "api_error"),
]  # fmt: skip


@pytest.mark.parametrize(("upstream", "body", "head", "status", "kind"), ERRORS)
async def test_an_upstreams_error_comes_in_the_clients_terms(
    upstream: str, body: bytes, head: bytes, status: int, kind: str
) -> None:
    async def script(peer: Any) -> None:
        while True:
            await peer.request()
            await peer.write(
                head + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )

    async with gateway(script, dialects=[upstream], retries=0) as gw:
        reply = await gw.drive.post("/v1/messages", CLIENTS["anthropic"][1])
        assert (reply.status, json.loads(reply.body)["error"]["type"]) == (status, kind)


@pytest.mark.parametrize(("status", "kind"), [(400, "ValidationException"), (404, "ResourceNotFoundException"), (429, "ThrottlingException"),
                                              (503, "ServiceUnavailableException"), (500, "InternalServerException")])  # fmt: skip
async def test_aws_own_client_reads_the_kind_of_an_error(status: int, kind: str) -> None:
    failed = answer(
        b'{"error":{"message":"no"}}',
        status=b"%d Failed" % status,
        headers=b"content-type: application/json\r\n",
    )
    async with gateway(repeat(failed), dialects=["openai-chat"], retries=0) as gw:
        reply = await gw.drive.post("/model/claude-x/invoke", CLIENTS["bedrock"][1])
    raw = {"status_code": reply.status, "headers": reply.headers, "body": reply.body}
    error = create_parser("rest-json").parse(raw, None)["Error"]
    assert (error["Code"], error["Message"]) == (kind, "no")


CURSOR: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "input": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "call_1", "name": "get", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
    ],
    "tools": [
        {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "ApplyPatch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
    ],
    "reasoning": {"effort": "low"},
}  # fmt: skip


@pytest.mark.parametrize("wire", ["anthropic", "openai-chat", "openai-responses", "gemini"])
async def test_cursor_asks_chat_in_the_words_of_responses(wire: str) -> None:
    app, upstream = scripted(wire)
    upstream.answers = [streamed(wire, UPSTREAMS[wire][1])]
    reply = await driver(app).post("/v1/chat/completions", CURSOR)
    events = grammar_openai.chat(reply.body, whole=True, usage=True)
    assert any(choice["delta"].get("tool_calls") for event in events for choice in event["choices"])
    sent = json.loads(upstream.asked[0])
    assert len(sent["tools"][0].get("functionDeclarations") or sent["tools"]) == 2


async def test_a_chat_body_may_hold_tools_in_the_form_of_responses() -> None:
    app, upstream = scripted("anthropic")
    upstream.answers = [whole(MESSAGE)]
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": CURSOR["tools"]}
    assert (await driver(app).post("/v1/chat/completions", body)).status == 200
    assert [tool["name"] for tool in json.loads(upstream.asked[0])["tools"]] == ["get", "ApplyPatch"]


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
async def test_words_that_are_no_utf8_are_the_clients_mistake(client: str) -> None:
    app, _ = scripted("gemini")
    body = b'{"model":"m","max_tokens":5,"input":"\xff","messages":[{"role":"user","content":"\xff"}]}'
    refused = await Driver(app).post(ASKED[client], body)
    assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")
