"""The same app in all places: under uvicorn, under Mangum with each kind of event, and under the streaming loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.app import Running
from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from scripts.lambda_demo import demo
from tests.deploy.places import PLACES, Answer, Asked, Place
from tests.whole.running import KEY, POLICIES

SYSTEM = {"x-api-key": KEY, "content-type": "application/json", "anthropic-version": "2023-06-01"}
CHAT = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo(tmp_path_factory.mktemp("files")) as url:
        yield url


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]


@pytest.fixture
async def app(behind: str) -> AsyncIterator[Running]:
    text = (
        'store: "memory:"\n' + POLICIES + "telemetry: {log: 'off'}\nroutes:\n"
        f"- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}\n"
        f"- {{path: /mcp, mcp: {{servers: {{math: {{url: '{behind}/math'}}}}}}}}\n"
    )
    resources = Resources(place="lambda-streaming")
    built = build(loads(text, source="gateway.yaml", folder=Path(), env={}), resources)
    yield Running(built.app, close=resources.client.close)
    await resources.close()


def post(path: str, body: object, **headers: str) -> Asked:
    return Asked("POST", path, {**SYSTEM, **headers}, json.dumps(body).encode())


async def ask(place: Place, running: Running, asked: Asked) -> Answer:
    assert running.close is not None
    return await asyncio.wait_for(place(running.app, asked, running.close), 30)


async def test_a_model_answers(place: Place, app: Running) -> None:
    answer = await ask(place, app, post("/v1/messages?beta=true", CHAT))
    assert (answer.status, answer.json["content"][0]["text"]) == (200, "You said: hello")


async def test_a_stream_arrives_whole(place: Place, app: Running) -> None:
    answer = await ask(place, app, post("/v1/messages", {**CHAT, "stream": True}))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.count(b"event: ") == 8
    assert b"event: message_stop" in answer.body


async def test_a_tool_is_called(place: Place, app: Running) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "multiply", "arguments": {"a": 6, "b": 7}},
    }
    answer = await ask(place, app, post("/mcp", call, accept="application/json, text/event-stream"))
    assert answer.status == 200
    assert b'"text":"42"' in answer.body.replace(b'": "', b'":"')


async def test_nobody_is_told_what_to_send(place: Place, app: Running) -> None:
    answer = await ask(
        place, app, Asked("POST", "/v1/messages", {"anthropic-version": "x"}, json.dumps(CHAT).encode())
    )
    assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")


async def test_wrong_input_is_400_in_the_callers_dialect(place: Place, app: Running) -> None:
    answer = await ask(
        place, app, Asked("POST", "/v1/chat/completions", {"authorization": f"Bearer {KEY}"}, b"{")
    )
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


async def test_health_needs_no_credential(place: Place, app: Running) -> None:
    answer = await ask(place, app, Asked("GET", "/healthz", {}))
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_too_much_is_413_and_says_whose_limit_it_is(place: Place, app: Running) -> None:
    body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * 6_400_000}]}).encode()
    answer = await ask(place, app, Asked("POST", "/v1/messages", SYSTEM, body))
    assert answer.status == 413
    assert "AWS Lambda" in answer.json["error"]["message"]
