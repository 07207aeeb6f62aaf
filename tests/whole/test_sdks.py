"""Official SDKs against a whole gateway: every client dialect over every provider's wire."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tests.whole.running import Whole, demo

ROUTES = ["", "/gemini", "/openai"]
TOOL_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
CALL = 'call multiply {"a": 42, "b": 17}'


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    async with demo(tmp_path) as running:
        yield running


def messages(gateway: Whole, route: str = "", **options: object) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=gateway.url + route, auth_token=gateway.key, max_retries=0, **options
    )


def chat(gateway: Whole, route: str = "", key: str = "") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}{route}/v1", api_key=key or gateway.key, max_retries=0)


def gemini(gateway: Whole, route: str = "", key: str = "") -> genai.Client:
    return genai.Client(
        api_key=key or gateway.key, http_options=types.HttpOptions(base_url=gateway.url + route)
    )


@pytest.mark.parametrize("route", ROUTES)
async def test_anthropic_text_whole_and_streamed(gateway: Whole, route: str) -> None:
    async with messages(gateway, route) as client:
        asked = {
            "model": "claude-demo",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "hello there"}],
        }
        whole = await client.messages.create(**asked)
        assert whole.content[0].text == "You said: hello there"
        assert whole.stop_reason == "end_turn"
        assert whole.usage.output_tokens == 4
        async with client.messages.stream(**asked) as stream:
            final = await stream.get_final_message()
        assert final.content[0].text == whole.content[0].text
        assert final.usage.output_tokens == 4


@pytest.mark.parametrize("route", ROUTES)
async def test_anthropic_tools_there_and_back(gateway: Whole, route: str) -> None:
    async with messages(gateway, route) as client:
        tools = [{"name": "multiply", "description": "multiplies", "input_schema": TOOL_SCHEMA}]
        asked = [{"role": "user", "content": CALL}]
        async with client.messages.stream(
            model="claude-demo", max_tokens=50, tools=tools, messages=asked
        ) as stream:
            said = await stream.get_final_message()
        assert said.stop_reason == "tool_use"
        use = said.content[-1]
        assert (use.name, use.input) == ("multiply", {"a": 42, "b": 17})
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "714"}
        turn = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        done = await client.messages.create(model="claude-demo", max_tokens=50, tools=tools, messages=turn)
        assert done.content[0].text == "The tool answered: 714"


@pytest.mark.parametrize("route", ROUTES)
async def test_anthropic_counts_tokens_and_lists_models(gateway: Whole, route: str) -> None:
    async with messages(gateway, route) as client:
        counted = await client.messages.count_tokens(
            model="claude-demo", messages=[{"role": "user", "content": "hello"}]
        )
        assert counted.input_tokens > 0
        listed = await client.models.list(limit=1000)
        assert "claude-demo" in [model.id for model in listed.data]


@pytest.mark.parametrize("route", ROUTES)
async def test_openai_chat_whole_and_streamed_with_tools(gateway: Whole, route: str) -> None:
    async with chat(gateway, route) as client:
        whole = await client.chat.completions.create(
            model="gpt-demo", messages=[{"role": "user", "content": "hello"}]
        )
        assert whole.choices[0].message.content == "You said: hello"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 3
        tools = [{"type": "function", "function": {"name": "multiply", "parameters": TOOL_SCHEMA}}]
        stream = await client.chat.completions.create(
            model="gpt-demo", messages=[{"role": "user", "content": CALL}], tools=tools, stream=True
        )
        names, arguments, finish = [], "", None
        async for chunk in stream:
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    names += [call.function.name] if call.function.name else []
                    arguments += call.function.arguments or ""
        assert (names, finish) == (["multiply"], "tool_calls")
        assert arguments.replace(" ", "") == '{"a":42,"b":17}'


@pytest.mark.parametrize("route", ROUTES)
async def test_openai_responses_whole_and_streamed(gateway: Whole, route: str) -> None:
    async with chat(gateway, route) as client:
        whole = await client.responses.create(model="gpt-demo", input="hello")
        assert whole.output_text == "You said: hello"
        async with client.responses.stream(model="gpt-demo", input="hello") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert final.output_text == "You said: hello"
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"


@pytest.mark.parametrize("route", ROUTES)
async def test_gemini_whole_streamed_and_with_tools(gateway: Whole, route: str) -> None:
    client = gemini(gateway, route).aio
    whole = await client.models.generate_content(model="gemini-demo", contents="hello")
    assert whole.text == "You said: hello"
    text = ""
    async for chunk in await client.models.generate_content_stream(
        model="gemini-demo", contents="hello there"
    ):
        text += chunk.text or ""
    assert text == "You said: hello there"
    declared = types.FunctionDeclaration(name="multiply", parameters_json_schema=TOOL_SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    called = await client.models.generate_content(model="gemini-demo", contents=CALL, config=config)
    assert called.function_calls is not None
    assert (called.function_calls[0].name, called.function_calls[0].args) == ("multiply", {"a": 42, "b": 17})
    await client.aclose()


async def test_a_wrong_key_is_each_sdks_own_authentication_error(gateway: Whole) -> None:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="wrong", max_retries=2) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
        assert caught.value.body["error"]["type"] == "authentication_error"
    async with chat(gateway, key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    google = gemini(gateway, key="wrong").aio
    with pytest.raises(genai_errors.ClientError) as refused:
        await google.models.generate_content(model="m", contents="x")
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")
    await google.aclose()


BAD_BODIES = {
    "not json": b"hello",
    "a list": b"[]",
    "cut": b'{"model": "m", "messages": [',
    "no model": b'{"messages": []}',
    "a number as model": b'{"model": 7, "messages": []}',
    "two models": b'{"model": "a", "messages": [], "model": "b"}',
    "another spelling": b'{"model": "a", "Model": "b", "messages": []}',
    "a depth bomb": b'{"model": "a", "messages": ' + b"[" * 100_000,
    "empty": b"",
    "a huge number": b'{"model": "a", "messages": [], "input": [], "max_tokens": ' + b"9" * 400 + b"}",
    "tokens to be given back": b'{"model": "a", "messages": [], "input": [], "max_tokens": -5}',
    "messages that are none": b'{"model": "a", "max_tokens": 5, "messages": 7, "input": 7}',
    "nothing said": b'{"model": "a", "max_tokens": 5, "messages": [], "input": []}',
    "a content that is none": b'{"model": "a", "max_tokens": 5, "messages": [{"role": "user", "content": 7}], "input": [{"role": "user", "content": 7}]}',
    "tools that are none": b'{"model": "a", "max_tokens": 5, "tools": 7, "messages": [{"role": "user", "content": "x"}], "input": "x"}',
    "not utf-8": b'{"model": "\xff", "messages": []}',
}


SAID = {"empty": "the request body is empty", "a number as model": "model: Expected `str`, got `int`"}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("case", BAD_BODIES)
async def test_bad_bodies_are_a_clear_400_and_the_next_request_is_served(
    gateway: Whole, path: str, case: str
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        refused = await client.post(path, content=BAD_BODIES[case])
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert not re.search("Traceback|Error:|object has no|not iterable", refused.text)
        assert (refused.json().get("type") == "error") == (path == "/v1/messages")
        assert SAID.get(case, "") in error["message"]
        good = await client.post(
            "/v1/messages",
            json={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        )
        assert good.status_code == 200


def nested(depth: int) -> bytes:
    return b"[" * depth + b"1" + b"]" * depth


@pytest.mark.parametrize("depth", [100, 127, 128, 255, 600, 1000, 1025, 100_000])
async def test_a_message_for_tools_is_served_or_refused_by_its_depth_and_the_next_one_served(
    gateway: Whole, depth: int
) -> None:
    call = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":%b,"b":1}}}'
    )
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        answer = await client.post("/mcp", content=call % nested(depth))
        assert answer.status_code == (200 if depth <= 100 else 400)
        assert ("result" in answer.json()) == (depth <= 100)
        good = await client.post("/mcp", content=call % b"1")
        assert good.json()["result"]["structuredContent"] == {"result": 2}


@pytest.mark.parametrize("parts", [[], None, [[]], [7], {}])
async def test_a_turn_without_a_part_is_no_crash(gateway: Whole, parts: object) -> None:
    body = {"contents": [{"role": "user", "parts": parts}, {"role": "user", "parts": [{"text": "x"}]}]}
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        answer = await client.post("/v1beta/models/gemini-demo:generateContent", json=body)
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize("path", ["/v1/messages", "/gemini/v1/messages", "/openai/v1/messages"])
@pytest.mark.parametrize("depth", [200, 254, 300, 1000, 5000])
async def test_a_deep_body_is_served_or_a_clear_400(gateway: Whole, path: str, depth: int) -> None:
    said = (
        b'{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"t","input":{"x":%b}}]}'
        % nested(depth)
    )
    body = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"},%b,{"role":"user","content":"y"}]}'
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        answer = await client.post(path, content=body % said)
    assert answer.status_code in (200, 400)
    assert answer.json()["type"] == ("message" if answer.status_code == 200 else "error")


@pytest.mark.parametrize("depth", [100, 250, 255, 600, 1000, 5000])
@pytest.mark.parametrize("stream", [b"true", b"false"])
async def test_what_an_answer_repeats_of_its_request_may_be_deep(
    gateway: Whole, depth: int, stream: bytes
) -> None:
    body = b'{"model":"m","input":"x","stream":%b,"metadata":{"a":%b,"b":%d}}' % (
        stream,
        nested(depth),
        10**30,
    )
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        answer = await client.post("/v1/responses", content=body)
        assert answer.status_code == (200 if depth < 900 else 400)
        assert (nested(depth) in answer.content) == (depth < 900)
        assert (b"%d" % 10**30 in answer.content) == (depth < 900)


async def test_twenty_megabytes_are_served_and_too_many_are_413(gateway: Whole) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer, timeout=60) as client:
        body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x" * 20_000_000}]}
        assert (await client.post("/v1/messages", json=body)).status_code == 200
        body["messages"][0]["content"] *= 2
        refused = await client.post("/v1/messages", json=body)
        assert refused.status_code == 413
        assert refused.json()["error"]["type"] == "request_too_large"


async def test_wrong_places_and_methods_say_what_is_right(gateway: Whole) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        assert "remove it there" in (await client.post("/v1/v1/messages", json={})).json()["error"]["message"]
        wrong = await client.get("/v1/messages")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert (await client.post("/v1/nothing", json={})).status_code == 404
        assert (await client.request("HEAD", "/", headers={"authorization": ""})).status_code == 200
