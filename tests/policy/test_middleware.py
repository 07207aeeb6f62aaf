import json
from typing import Any

import pytest

from gateway.call import Call, Operation
from gateway.identity.keys import ListedKeys
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.authz import AuthzMiddleware
from gateway.types import Receive, Scope, Send
from tests.driver import Driver

MODEL = {"model": "claude-opus-5", "max_tokens": 1, "messages": []}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def guarded(app: Any = echo, **rules: Any) -> Driver:
    return Driver(AuthzMiddleware(app, **rules))


async def test_an_allowed_call_reaches_the_app_with_its_body_untouched() -> None:
    body = b'{ "model" : "claude-opus-5", "max_tokens": 1, "messages": [] }'
    reply = await guarded(allow=['llm.model == "claude-opus-5"']).post("/v1/messages", body, pieces=None)
    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [
        ("/v1/messages", MODEL, lambda said: said["error"]["type"] == "permission_error"),
        ("/v1/chat/completions", MODEL, lambda said: said["error"]["code"] == "authz"),
        ("/v1beta/models/gemini-3:generateContent", {}, lambda said: said["error"]["status"] == "PERMISSION_DENIED"),
        ("/anything", {}, lambda said: said["status"] == 403),
    ],
)  # fmt: skip
async def test_a_refusal_is_403_in_the_callers_dialect_and_never_shows_the_rule(
    path: str, body: Any, shape: Any
) -> None:
    rule = 'jwt.team == "secret-team"'
    reply = await guarded(allow=[rule]).post(path, body)
    assert reply.status == 403
    assert shape(reply.json)
    assert "secret-team" not in reply.body.decode()


async def test_a_body_that_is_no_request_is_400_and_reaches_nobody() -> None:
    assert (await guarded(allow=["true"]).post("/v1/messages", b"{")).status == 400


@pytest.mark.parametrize("second", ["model", "Model", "MODEL", r"mod\u0065l"])
async def test_row_22_a_model_named_twice_is_refused_before_a_rule_could_read_the_wrong_one(
    second: str,
) -> None:
    body = b'{"model": "claude-haiku", "%s": "claude-opus-5", "messages": []}' % second.encode()
    assert (await guarded(allow=['llm.model == "claude-haiku"']).post("/v1/messages", body)).status == 400


async def test_with_defer_the_app_gets_the_policy_and_whoever_could_do_nothing_is_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(scope)
        assert call.policies is not None
        assert call.policies.authz is not None
        tools = [
            Operation("mcp", "tools/call", subject="tool", name=name, arguments={})
            for name in ("read", "write")
        ]
        said = [call.policies.authz.decide(call, tool) is None for tool in tools]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    reply = await guarded(
        app, defer=True, allow=['mcp.tool.name == "read" && mcp.method == "tools/call"']
    ).post("/mcp", {})
    assert reply.json == [True, False]
    for rules in (
        {"require": ['request.ip in ["10.0.0.0/8"]']},
        {"allow": ['jwt.role == "admin"']},
        {"deny": ["true"]},
    ):
        assert (await guarded(app, defer=True, **rules).post("/mcp", {})).status == 403


async def test_auth_and_authz_work_together_in_anybodys_app() -> None:
    keys = ListedKeys(
        [{"key": "sk-ada", "owner": "ada", "groups": ["eng"]}, {"key": "sk-bob", "owner": "bob"}]
    )
    driver = Driver(AuthMiddleware(AuthzMiddleware(echo, allow=['"eng" in principal.groups']), keys=[keys]))
    for key, status in (("sk-ada", 200), ("sk-bob", 403), ("sk-eve", 401)):
        assert (await driver.post("/v1/messages", MODEL, headers={"x-api-key": key})).status == status


async def test_what_is_no_http_request_passes_untouched() -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    await AuthzMiddleware(app, deny=["true"])({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert passed == ["lifespan"]
