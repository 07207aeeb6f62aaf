"""Judges from outside: callables and webhooks, and what happens when they fail."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials

from gateway.call import Call, Operation
from gateway.errors import ConfigError
from gateway.guards.plugins import Calling, Said, Webhook
from gateway.guards.policy import Guard
from gateway.guards.rules import Rule, rules_from
from gateway.guards.services import Guardrail, Moderation
from gateway.llm.signing import AwsSigner
from gateway.middleware.guard import GuardMiddleware
from tests.driver import Driver
from tests.guards.apps import Echo, anthropic, cut_text, read, stream

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}


def no_birds(texts: list[str], phase: str) -> bool:
    return any("bird" in text for text in texts)


async def put(
    plugin: Any, *, body: Any = ASK, action: Any = "reject", phase: str = "request", app: Any = None
) -> tuple[Any, Echo]:
    app = app or Echo()
    rule = Rule("mine", action, plugin=plugin)
    guard = GuardMiddleware(
        app, request=[rule] if phase == "request" else [], response=[rule] if phase == "response" else []
    )
    return await Driver(guard).post("/v1/messages", body), app


async def test_a_callable_from_the_operators_own_module_is_asked() -> None:
    guard = GuardMiddleware(Echo(), request=rules_from([{"python": "tests.guards.test_plugins:no_birds"}]))
    assert (await Driver(guard).post("/v1/messages", ASK)).status == 200
    bird = {"model": "m", "messages": [{"role": "user", "content": "a bird"}]}
    assert (await Driver(guard).post("/v1/messages", bird)).status == 403


@pytest.mark.parametrize("where", ["no.such.module:f", "json:nothing", "json:__name__", "json"])
def test_a_callable_that_is_none_is_said_at_load(where: str) -> None:
    with pytest.raises(ConfigError, match="python"):
        rules_from([{"python": where}])


async def test_a_callable_may_rewrite_the_texts() -> None:
    async def shout(texts: list[str], phase: str) -> Said:
        return Said("mask", tuple(text.upper() for text in texts))

    reply, app = await put(Calling(shout))
    assert reply.status == 200
    assert json.loads(app.asked)["messages"][0]["content"] == "HELLO THERE"


@pytest.mark.parametrize(("closed", "status"), [(True, 403), (False, 200)])
async def test_a_judge_that_fails_or_is_slow_has_the_decided_outcome(closed: bool, status: int) -> None:
    async def slow(texts: list[str], phase: str) -> bool:
        await asyncio.Event().wait()
        return False

    def broken(texts: list[str], phase: str) -> bool:
        raise RuntimeError("no")

    for function, timeout in ((slow, 0.01), (broken, 5)):
        reply, _ = await put(Calling(function, timeout, closed))
        assert reply.status == status


async def test_a_blocking_callable_does_not_block_the_loop() -> None:
    gate = threading.Event()

    def waits(texts: list[str], phase: str) -> bool:
        return not gate.wait(5)

    async def opens() -> None:
        gate.set()

    (reply, _), _ = await asyncio.gather(put(Calling(waits, 5)), opens())
    assert reply.status == 200


def hook(answer: Any, asked: list[Any] | None = None, status: int = 200) -> Webhook:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(status, json=answer)

    return Webhook("http://guard.test/v1", transport=httpx.MockTransport(handle))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"action": {"reason": "fine"}}, 200),
        ({"action": {"type": "pass"}}, 200),
        ({"action": {"body": "no birds here", "status_code": 451, "reason": "birds"}}, 451),
        ({"action": {"type": "reject", "body": "no", "status_code": 403}}, 403),
    ],
)
async def test_a_webhook_may_pass_or_reject(answer: Any, status: int) -> None:
    asked: list[Any] = []
    reply, _ = await put(hook(answer, asked))
    assert reply.status == status
    assert asked == [("/v1/request", {"body": {"messages": [{"role": "user", "content": "hello there"}]}})]
    if status == 451:
        assert reply.json["error"]["message"] == "no birds here"


async def test_a_webhook_may_mask_requests_and_answers() -> None:
    masked = {"action": {"body": {"messages": [{"role": "user", "content": "*****"}]}, "reason": "masked"}}
    _, app = await put(hook(masked))
    assert json.loads(app.asked)["messages"][0]["content"] == "*****"
    asked: list[Any] = []
    choices = {"action": {"body": {"choices": [{"message": {"role": "assistant", "content": "(gone)"}}]}}}
    answer = {"content": [{"type": "text", "text": "said"}]}
    reply, _ = await put(hook(choices, asked), phase="response", app=Echo(answer))
    assert reply.json["content"][0]["text"] == "(gone)"
    assert asked[0] == (
        "/v1/response",
        {"body": {"choices": [{"message": {"role": "assistant", "content": "said"}}]}},
    )


@pytest.mark.parametrize(
    "answer", [{"action": {"body": {"messages": []}}}, "what", {"action": {"body": {"messages": "x"}}}]
)
async def test_a_webhook_that_answers_nonsense_has_failed(answer: Any) -> None:
    assert (await put(hook(answer)))[0].status == 403
    assert (await put(hook({}, status=500)))[0].status == 403


async def test_a_judge_hears_a_streamed_text_when_it_is_over_and_can_end_the_stream() -> None:
    frames = anthropic(*cut_text("a bird in the hand " * 40, seed=1))
    reply, _ = await put(Calling(no_birds), phase="response", app=stream(frames))
    assert reply.body.decode().rsplit("event: ", 1)[1].startswith("error\n")
    assert "message_stop" not in reply.body.decode()
    fine = anthropic(*cut_text("a fish in the hand " * 40, seed=1))
    reply, _ = await put(Calling(no_birds), phase="response", app=stream(fine))
    assert read("anthropic", reply.body) == "a fish in the hand " * 40


def test_a_webhook_needs_an_address() -> None:
    with pytest.raises(ConfigError, match="http"):
        rules_from([{"webhook": "ftp://x"}])


def flagged(*names: str, score: float = 0.9) -> dict[str, Any]:
    categories = {name: name in names for name in ("violence", "hate")}
    scores = {name: score if name in names else 0.01 for name in categories}
    return {"results": [{"flagged": bool(names), "categories": categories, "category_scores": scores}]}


def moderation(answer: Any, *, threshold: float | None = None, closed: bool = True, asked: Any = None) -> Any:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append((str(request.url), request.headers["authorization"], json.loads(request.content)))
        return httpx.Response(200, json=answer)

    return Moderation("omni-moderation-latest", "sk-1", threshold=threshold, closed=closed,
                      transport=httpx.MockTransport(handle))  # fmt: skip


async def test_what_openai_moderates_is_refused_with_its_categories() -> None:
    asked: list[Any] = []
    reply, _ = await put(moderation(flagged(), asked=asked))
    assert reply.status == 200
    assert asked == [
        ("https://api.openai.com/v1/moderations", "Bearer sk-1",
         {"model": "omni-moderation-latest", "input": ["hello there"]})
    ]  # fmt: skip
    reply, _ = await put(moderation(flagged("violence")))
    assert reply.status == 403
    assert "flagged as violence" in reply.json["error"]["message"]


@pytest.mark.parametrize(("threshold", "status"), [(0.5, 403), (0.95, 200)])
async def test_a_moderation_may_have_a_threshold_of_its_own(threshold: float, status: int) -> None:
    reply, _ = await put(moderation(flagged("hate"), threshold=threshold))
    assert reply.status == status


@pytest.mark.parametrize("answer", [{}, {"results": []}, {"results": [{}]}, [1], {"results": [{}, {}]}])
async def test_a_moderation_that_answers_nonsense_has_failed(answer: Any) -> None:
    assert (await put(moderation(answer)))[0].status == 403
    assert (await put(moderation(answer, closed=False)))[0].status == 200


def guardrail(answer: Any, asked: list[Any] | None = None) -> Guardrail:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append((request.url, request.headers, json.loads(request.content)))
        return httpx.Response(200, json=answer)

    signer = AwsSigner(region="eu-west-1", credentials=Credentials("AKIDEXAMPLE", "secret"))
    return Guardrail("gr1", "eu-west-1", signer, version="3", transport=httpx.MockTransport(handle))


def pii(action: str, *outputs: str) -> dict[str, Any]:
    entity = {"action": action, "match": "hello@there", "type": "EMAIL"}
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text} for text in outputs],
        "assessments": [{"sensitiveInformationPolicy": {"piiEntities": [entity]}}],
    }


async def test_a_bedrock_guardrail_passes_masks_or_refuses() -> None:
    asked: list[Any] = []
    reply, _ = await put(guardrail({"action": "NONE", "outputs": [], "assessments": []}, asked))
    assert reply.status == 200
    url, headers, body = asked[0]
    assert str(url) == "https://bedrock-runtime.eu-west-1.amazonaws.com/guardrail/gr1/version/3/apply"
    assert body == {"source": "INPUT", "content": [{"text": {"text": "hello there"}}]}
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    _, app = await put(guardrail(pii("ANONYMIZED", "hello {EMAIL}")))
    assert json.loads(app.asked)["messages"][0]["content"] == "hello {EMAIL}"
    reply, _ = await put(guardrail(pii("BLOCKED", "no")))
    assert reply.status == 403
    assert "EMAIL" in reply.json["error"]["message"]
    assert "hello@there" not in reply.body.decode()


@pytest.mark.parametrize("answer", [{}, [], pii("ANONYMIZED"), {"action": "GUARDRAIL_INTERVENED"}])
async def test_a_guardrail_whose_masks_cannot_be_placed_refuses(answer: Any) -> None:
    assert (await put(guardrail(answer)))[0].status == 403


def test_services_are_named_in_the_file_and_want_what_they_need() -> None:
    rules = rules_from([
        {"moderation": "omni-moderation-latest", "api_key": "sk-1", "on_failure": "pass", "timeout": 2},
        {"bedrock_guardrail": "gr1", "region": "eu-west-1", "version": "3"},
    ])  # fmt: skip
    assert [type(rule.plugin).__name__ for rule in rules] == ["Moderation", "Guardrail"]
    for wrong in ({"moderation": "m"}, {"bedrock_guardrail": "g"}, {"moderation": "m", "regex": "x"}):
        with pytest.raises(ConfigError):
            rules_from([wrong])


async def test_a_callable_is_told_which_phase_a_tools_texts_are_of() -> None:
    told: list[str] = []

    def note(texts: list[str], phase: str) -> bool:
        told.append(phase)
        return False

    rule = Rule("mine", "reject", plugin=Calling(note))
    guard = Guard(discovery=[rule], invocation=[rule], result=[rule])
    call = Call(id="req_1", at=0.0, started=0, path="/mcp")
    op = Operation("mcp", "tools/call", subject="tool", name="t", exposed="t", arguments={"note": "hello"})
    await guard.definitions(call, [{"name": "t", "description": "says hello"}])
    await guard.arguments(call, op)
    await guard.result(call, op, {"content": [{"type": "text", "text": "hello"}]})
    assert told == ["discovery", "invocation", "result"]
