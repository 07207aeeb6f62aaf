"""The runtime loop of our own, against a Runtime API on the wire."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway import lambda_runtime
from gateway.call import Call
from gateway.lambda_runtime import respond
from gateway.types import App, Receive, Scope, Send
from tests.deploy.runtime_api import Posted, RuntimeApi, runtime_api

EVENTS = Path(__file__).parents[2] / "events"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"set-cookie", b"a=1")],
}


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


async def answered(app: App, given: Mapping[str, Any], **options: Any) -> tuple[Posted, RuntimeApi]:
    async with runtime_api(given, deadline=options.pop("deadline", 4e9)) as api:
        wire = lambda_runtime.RuntimeApi(api.address)
        await respond(app, wire, await wire.next(), **options)
        return api.posted[-1], api


@pytest.mark.parametrize("name", ["function-url-stream", "rest-api-stream"])
async def test_what_is_sent_leaves_before_the_next_is_made(name: str) -> None:
    async with runtime_api(event(name)) as api:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert (scope["method"], scope["path"]) == ("POST", "/v1/messages")
            assert b'"stream": true' in (await receive())["body"]
            await send(START)
            for word in (b"one", b"two", b"three"):
                await send({"type": "http.response.body", "body": word, "more_body": True})
                await api.until(word)  # would wait for ever if anything on the way held it back
            await send({"type": "http.response.body", "body": b""})

        wire = lambda_runtime.RuntimeApi(api.address)
        await respond(app, wire, await wire.next())
        [posted] = api.posted
    assert posted.path == "/2018-06-01/runtime/invocation/req-1/response"
    assert posted.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert posted.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert posted.prelude == {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream"},
        "cookies": ["a=1"],
    }
    assert posted.streamed == b"onetwothree"
    assert posted.trailers == {}
    assert os.environ["_X_AMZN_TRACE_ID"] == "Root=1-5;Sampled=1"


async def test_an_error_after_the_first_byte_travels_in_the_trailers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ConnectionResetError("a secret detail")

    posted, _ = await answered(app, event("function-url-stream"))
    assert posted.streamed == b"half"
    assert posted.trailers["lambda-runtime-function-error-type"] == "ConnectionResetError"
    told = json.loads(base64.b64decode(posted.trailers["lambda-runtime-function-error-body"]))
    assert told == {"errorType": "ConnectionResetError", "errorMessage": "the response was cut short"}


async def test_an_error_before_the_first_byte_fails_the_invocation() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    posted, _ = await answered(app, event("function-url-stream"))
    assert posted.path.endswith("/invocation/req-1/error")
    assert json.loads(posted.body)["errorType"] == "RuntimeError"


async def test_an_event_that_is_no_request_is_said_to_be_none() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("not reached")

    posted, _ = await answered(app, {"source": "aws.events"})
    assert "no HTTP request" in json.loads(posted.body)["errorMessage"]


async def test_near_the_deadline_the_call_is_stopped_in_order() -> None:
    stopped = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(scope)
        call.abort = stopped.set
        await send(START)
        await stopped.wait()
        assert call.stopped is not None
        assert call.stopped.kind == "timeout_error"
        await send({"type": "http.response.body", "body": b"event: error\n\n"})

    posted, _ = await answered(app, event("function-url-stream"), deadline=time.time() + 2.05)
    assert posted.streamed == b"event: error\n\n"
    assert posted.trailers == {}


async def test_the_loop_takes_one_invocation_after_the_other() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async with runtime_api(event("function-url-stream"), event("rest-api-mcp")) as api:
        task = asyncio.create_task(lambda_runtime.loop(app, lambda_runtime.RuntimeApi(api.address)))
        await api.until_asked(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [posted.streamed for posted in api.posted] == [b"/v1/messages", b"/mcp"]


async def test_a_configuration_that_cannot_be_used_fails_the_initialisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.aws import application
    from gateway.errors import ConfigError

    (tmp_path / "gateway.yaml").write_text("store: 'sqlite:///x.db'\nroutes: []\n")
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "gateway.yaml"))
    application.cache_clear()
    async with runtime_api() as api:
        with pytest.raises(ConfigError):
            await lambda_runtime.start(lambda_runtime.RuntimeApi(api.address))
        [posted] = api.posted
    assert posted.path.endswith("/init/error")
    assert "SQLite does not fit Lambda" in json.loads(posted.body)["errorMessage"]


def test_outside_of_lambda_it_says_what_runs_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    with pytest.raises(SystemExit, match="gateway serve"):
        lambda_runtime.main()
