"""Endpoints, model lists, counting, and clients of one dialect in front of providers of another."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import uvicorn

from gateway.call import Call, Operation
from gateway.compose import Route, compose
from gateway.llm.app import LLMApp
from gateway.llm.routes import ModelRule, Target
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.policies import Policies
from gateway.refusals import Refusal
from gateway.types import Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.llm.gateways import (
    ANTHROPIC,
    CHAT,
    COMPLETION,
    EVENTS,
    JSON,
    OK,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    chunk,
    gateway,
    provider,
    streaming,
)
from tests.net.upstream import Peer, answer, repeat


async def test_a_server_takes_it_for_an_asgi_app_of_today() -> None:
    config = uvicorn.Config(LLMApp(providers={"one": provider("one", "http://localhost")}), log_config=None)
    config.load()
    assert config.interface == "asgi3"


async def test_a_name_of_a_model_that_is_none_is_refused_before_anybody_keeps_it() -> None:
    async with gateway(OK) as gw:
        asked = {**REQUEST, "model": "m" * 3000}
        reply = await gw.drive.post("/v1/messages", asked, headers=ANTHROPIC)
        assert (reply.status, len(reply.body) < 300) == (400, True)
        assert gw.ups[0].requests == []


@pytest.mark.parametrize(
    "path", ["/", "/gemini", "/gemini/", "/api/hello", "/v1/messages", "/gemini/api/hello"]
)
async def test_a_probe_is_answered_without_an_upstream(path: str) -> None:
    async with gateway(OK) as gw:
        reply = await gw.drive.request("HEAD", path)
        assert (reply.status, reply.body) == (200, b"")
        assert gw.ups[0].requests == []


@pytest.mark.parametrize(
    ("verb", "path", "headers", "status", "says"),
    [
        ("POST", "/v1/v1/messages", ANTHROPIC, 404, "must not end in /v1"),
        ("POST", "/v1/nothing", {}, 404, "no such endpoint"),
        ("GET", "/v1/messages", ANTHROPIC, 405, "use POST"),
        ("DELETE", "/v1/chat/completions", {}, 405, "use POST"),
        ("POST", "/v1/models", {}, 405, "use GET"),
    ],
)
async def test_what_does_not_exist_says_what_to_fix(
    verb: str, path: str, headers: dict[str, str], status: int, says: str
) -> None:
    async with gateway(OK) as gw:
        reply = await gw.drive.request(verb, path, body=b"{}", headers=headers)
        assert reply.status == status
        assert says in reply.body.decode()
        assert "error" in reply.json or reply.json["status"] == status
        if status == 405:
            assert reply.headers["allow"] in says


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/messages", b"", 400),
        ("/v1/messages", b"not json", 400),
        ("/v1/messages", b"[]", 400),
        ("/v1/messages", b'{"messages": []}', 400),
        ("/v1/messages", b'{"model": 7}', 400),
        ("/v1/messages", b'{"model": "a", "model": "b"}', 400),
        ("/v1/messages", b'{"model": "a", "stream": "yes"}', 400),
        ("/v1/chat/completions", b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        ("/v1/messages", b'{"model": "m", "x": "' + b"x" * 34_000_000 + b'"}', 413),
    ],
)
async def test_bad_input_is_refused_and_the_next_request_is_served(
    path: str, body: bytes, status: int
) -> None:
    async with gateway(OK) as gw:
        reply = await gw.drive.post(path, body, headers=ANTHROPIC)
        assert reply.status == status
        assert reply.json["error"]["message"]
        assert gw.ups[0].requests == []
        assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).status == 200


def words(reply: Reply) -> str:
    """The text of a chat stream."""
    frames = [line[6:] for line in reply.body.decode().split("\n") if line.startswith("data: {")]
    choices = [each for frame in frames for each in json.loads(frame)["choices"]]
    return "".join(each["delta"].get("content") or "" for each in choices)


async def test_a_chat_client_reaches_an_anthropic_provider() -> None:
    async with gateway(OK) as gw:
        reply = await gw.drive.post(
            "/v1/chat/completions", CHAT, headers={"authorization": "Bearer sk-caller"}
        )
        assert reply.status == 200
        assert reply.json["choices"][0]["message"]["content"] == "hello"
        assert reply.json["usage"]["total_tokens"] == 10
        request = gw.ups[0].requests[0]
        assert request.startswith(b"POST /v1/messages HTTP/1.1\r\n")
        assert b"\r\nx-api-key: sk-one\r\n" in request
        assert b"sk-caller" not in request
        assert gw.call.usage is not None
        assert gw.call.usage.total == 10


async def test_a_chat_client_streams_from_an_anthropic_provider() -> None:
    async with gateway(streaming(*EVENTS)) as gw:
        reply = await gw.drive.post("/v1/chat/completions", {**CHAT, "stream": True})
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert words(reply) == "hello"
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert gw.call.usage is not None
        assert gw.call.usage.total == 10


async def test_an_anthropic_client_reaches_a_chat_provider() -> None:
    async with gateway(repeat(answer(COMPLETION, headers=JSON)), dialects=["openai-chat"]) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.json["content"] == [{"type": "text", "text": "hello"}]
        assert reply.json["stop_reason"] == "end_turn"
        assert gw.ups[0].requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")


async def test_a_translated_stream_arrives_piece_by_piece() -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(EVENTS[2]))
        await asyncio.wait_for(arrived.wait(), 5)
        await peer.write(chunk("".join(EVENTS[3:])) + b"0\r\n\r\n")
        await peer.gone()

    async with gateway(script) as gw:
        reply = await gw.drive.post(
            "/v1/chat/completions",
            {**CHAT, "stream": True},
            leave_after=lambda r: bool(r.chunks) and arrived.set(),
        )
        assert words(reply) == "hello"


async def test_a_translated_stream_that_is_cut_ends_in_an_error() -> None:
    async with gateway(streaming(*EVENTS[:3], end=False)) as gw:
        reply = await gw.drive.post("/v1/chat/completions", {**CHAT, "stream": True})
        assert b'"error"' in reply.body
        assert b"[DONE]" not in reply.body
        assert b'"finish_reason":"stop"' not in reply.body
        assert gw.call.refusal is not None


async def test_an_upstreams_error_is_told_in_the_clients_dialect() -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
    raw = answer(body, status=b"429 Too Many Requests", headers=JSON + b"retry-after: 7\r\n")
    async with gateway(repeat(raw)) as gw:
        reply = await gw.drive.post("/v1/chat/completions", CHAT)
        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        assert reply.json["error"]["message"] == "slow down"


async def test_an_error_before_any_content_of_a_translated_stream_has_its_status() -> None:
    overloaded = (
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    )
    async with gateway(streaming(overloaded), retries=0) as gw:
        reply = await gw.drive.post("/v1/chat/completions", {**CHAT, "stream": True})
        assert reply.status == 529
        assert reply.json["error"]["message"] == "busy"


async def test_an_answer_that_is_no_json_is_an_upstream_error() -> None:
    async with gateway(repeat(answer(b"<html>", headers=b"content-type: text/html\r\n"))) as gw:
        reply = await gw.drive.post("/v1/chat/completions", CHAT)
        assert reply.status == 502


async def test_silence_in_a_translated_stream_is_filled_with_pings() -> None:
    pinged = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        first = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"he"}}]}\n\n'
        last = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"llo"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        await peer.write(STREAM_HEAD + chunk(first))
        await asyncio.wait_for(pinged.wait(), 5)
        await peer.write(chunk(last) + b"0\r\n\r\n")
        await peer.gone()

    def note(reply: Reply) -> bool:
        if b"event: ping" in reply.body:
            pinged.set()
        return False

    async with gateway(script, dialects=["openai-chat"], silence=0.02) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC, leave_after=note)
        assert reply.body.count(b"event: ping") >= 1
        assert b"message_stop" in reply.body


async def test_failover_crosses_dialects() -> None:
    down = repeat(answer(b"{}", status=b"503 Down"))
    rule = ModelRule(match="*", to=(Target("one"), Target("two", "gpt-x")))
    async with gateway(down, repeat(answer(COMPLETION, headers=JSON)), dialects=["anthropic", "openai-chat"],
                       models=[rule]) as gw:  # fmt: skip
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.json["content"][0]["text"] == "hello"
        assert json.loads(gw.ups[1].requests[0].partition(b"\r\n\r\n")[2])["model"] == "gpt-x"


async def test_tokens_are_counted_by_the_provider() -> None:
    async with gateway(repeat(answer(b'{"input_tokens":42}', headers=JSON))) as gw:
        reply = await gw.drive.post("/v1/messages/count_tokens?beta=true", REQUEST, headers=ANTHROPIC)
        assert reply.json == {"input_tokens": 42}
        assert "x-gateway-estimated" not in reply.headers
        assert gw.ups[0].requests[0].startswith(b"POST /v1/messages/count_tokens?beta=true ")
        assert gw.call.usage is None


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic"])
async def test_tokens_are_estimated_where_the_provider_cannot_count(dialect: str) -> None:
    async with gateway(repeat(answer(b"{}", status=b"404 Not Found")), dialects=[dialect]) as gw:
        reply = await gw.drive.post("/v1/messages/count_tokens", REQUEST, headers=ANTHROPIC)
        assert reply.status == 200
        assert reply.json["input_tokens"] > 0
        assert reply.headers["x-gateway-estimated"] == "true"


LISTED = b'{"data":[{"type":"model","id":"claude-x","display_name":"X"},{"id":"claude-y"},{"id":"other"}]}'
RULES = [
    ModelRule(match="hidden", to=(Target("one"),), when=lambda call, op: "x-insider" in call.headers),
    ModelRule(match="fast", to=(Target("one", "claude-x"),)),
    ModelRule(match="claude-*", to=(Target("one"),)),
]


@pytest.mark.parametrize(
    ("path", "headers", "ids"),
    [
        (
            "/v1/models?limit=1000",
            {"anthropic-version": "2023-06-01"},
            lambda b: [m["id"] for m in b["data"]],
        ),
        ("/v1/models", {}, lambda b: [m["id"] for m in b["data"] if m["object"] == "model"]),
        ("/v1beta/models", {}, lambda b: [m["name"].removeprefix("models/") for m in b["models"]]),
    ],
)
async def test_models_are_listed_in_the_shape_of_the_client(
    path: str, headers: dict[str, str], ids: Any
) -> None:
    async with gateway(repeat(answer(LISTED, headers=JSON)), models=RULES) as gw:
        reply = await gw.drive.get(path, headers=headers)
        assert ids(reply.json) == ["fast", "claude-x", "claude-y"]
        insider = await gw.drive.get(path, headers={**headers, "x-insider": "1"})
        assert ids(insider.json) == ["hidden", "fast", "claude-x", "claude-y"]
        assert len(gw.ups[0].requests) == 1
        assert gw.ups[0].requests[0].startswith(b"GET /v1/models?limit=1000 HTTP/1.1\r\n")


async def test_one_model_is_described_or_not_found() -> None:
    async with gateway(repeat(answer(LISTED, headers=JSON)), models=RULES) as gw:
        reply = await gw.drive.get("/v1/models/claude-x", headers={"anthropic-version": "1"})
        assert (reply.status, reply.json["id"], reply.json["display_name"]) == (200, "claude-x", "X")
        assert (await gw.drive.get("/v1/models/other")).status == 404


async def test_a_provider_that_cannot_list_leaves_the_names_of_the_rules() -> None:
    async with gateway(repeat(answer(b"oops", status=b"500 Oops")), models=RULES) as gw:
        reply = await gw.drive.get("/v1/models")
        assert [model["id"] for model in reply.json["data"]] == ["fast"]


async def test_only_models_that_the_caller_may_use_are_listed() -> None:
    class Choosy:
        def decide(self, call: Call, op: Operation) -> Refusal | None:
            return Refusal(403, "permission_error", "no") if op.model.endswith("y") else None

    async with gateway(repeat(answer(LISTED, headers=JSON)), models=RULES) as gw:

        async def behind(scope: Scope, receive: Receive, send: Send) -> None:
            Call.of(scope).policies = Policies(authz=Choosy())
            await gw.app(scope, receive, send)

        reply = await Driver(behind).get("/v1/models")
        assert [model["id"] for model in reply.json["data"]] == ["fast", "claude-x"]


def test_the_pool_is_the_client_where_none_is_given() -> None:
    assert LLMApp(providers={"one": provider("one", "http://127.0.0.1:9")}).catalog is not None


@pytest.mark.parametrize("stream", [False, True])
async def test_no_client_is_told_where_a_provider_is(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(proxies=NO_PROXIES)
    app = LLMApp(providers={"one": provider("one", "http://127.0.0.1:9", retries=0)}, client=pool)
    asked = {**REQUEST, "stream": stream}
    reply = await Driver(compose([Route("/", app)])).post("/v1/messages", asked, headers=ANTHROPIC)
    assert reply.status == 502
    assert reply.json["error"]["message"] == "the upstream cannot be reached"
    assert "127.0.0.1" in caplog.text  # the operator is
    await pool.close()
