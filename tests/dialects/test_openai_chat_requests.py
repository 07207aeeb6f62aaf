"""Requests between the hub and OpenAI's chat, in both directions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.llm.dialects import bedrock_converse, gemini, openai_chat
from gateway.llm.dialects.openai_content import parameters, strictable
from gateway.llm.dialects.protocol import Json, Options, Target
from gateway.llm.quirks import of_model
from tests.dialects.conversations import (
    ATTRIBUTION,
    LONG_NAME,
    PNG,
    SCHEMA,
    assistant,
    document,
    image,
    result,
    system,
    text,
    thinking,
    tool,
    use,
    user,
)
from tests.dialects.driving import outbound


def sent(hub: Json, **options: Any) -> Json:
    return outbound(openai_chat, hub, "up", **options).body


def messages(*turns: Json, **options: Any) -> list[Json]:
    found: list[Json] = sent({"messages": list(turns)}, **options)["messages"]
    return found


def called(ident: str, name: str, arguments: str) -> Json:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


URL = "data:image/png;base64,iVBORw0KGgo="

CONVERSATIONS: dict[str, tuple[list[Json], list[Json]]] = {
    "one text is a string": ([user("hi")], [{"role": "user", "content": "hi"}]),
    "neighbours of one role become one": (
        [user("a"), user("b"), assistant("c"), assistant("d")],
        [
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": "cd"},
        ],
    ),
    "a system message keeps its place": (
        [user("a"), system("b"), user("c")],
        [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}, {"role": "user", "content": "c"}],
    ),
    "an image": (
        [user(image(), "what?")],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}, text("what?")]}],
    ),
    "documents": (
        [user(document(title="a.pdf"), document({"type": "text", "media_type": "text/plain", "data": "plain"}))],
        [
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                    text("plain"),
                ],
            }
        ],
    ),
    "parallel calls answered out of order": (
        [
            user("go"),
            assistant("ok", use("a", "t1", n=1), use("b", "t2"), use("c", "t3")),
            user(result("t3", "3"), result("t1", [text("1")]), "and?", result("t2", "2", failed=True)),
        ],
        [
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": "ok",
                "tool_calls": [called("t1", "a", '{"n":1}'), called("t2", "b", "{}"), called("t3", "c", "{}")],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "1"},
            {"role": "tool", "tool_call_id": "t2", "content": "Error: 2"},
            {"role": "tool", "tool_call_id": "t3", "content": "3"},
            {"role": "user", "content": "and?"},
        ],
    ),
    "an image in a result follows in a user message": (
        [user("go"), assistant(use("a", "t1")), user(result("t1", [image()]))],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": None, "tool_calls": [called("t1", "a", "{}")]},
            {"role": "tool", "tool_call_id": "t1", "content": "See the next user message."},
            {
                "role": "user",
                "content": [
                    text("From the result of the tool call t1:"),
                    {"type": "image_url", "image_url": {"url": URL}},
                ],
            },
        ],
    ),
    "a result that never came": (
        [user("go"), assistant(use("a", "t1")), user("never mind")],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": None, "tool_calls": [called("t1", "a", "{}")]},
            {"role": "tool", "tool_call_id": "t1", "content": "Error: No result: the call was not carried out."},
            {"role": "user", "content": "never mind"},
        ],
    ),
    "a result that comes late": (
        [user("go"), assistant(use("a", "t1")), user("wait"), user(result("t1", "1"))],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": None, "tool_calls": [called("t1", "a", "{}")]},
            {"role": "tool", "tool_call_id": "t1", "content": "1"},
            {"role": "user", "content": "wait"},
        ],
    ),
    "a result without its call": (
        [user("go", result("t9", "9"))],
        [{"role": "user", "content": [text("go"), text("Result of an earlier call: 9")]}],
    ),
    "a system message between a call and its result": (
        [user("go"), assistant(use("a", "t1")), system("s"), user(result("t1", "1"))],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": None, "tool_calls": [called("t1", "a", "{}")]},
            {"role": "tool", "tool_call_id": "t1", "content": "1"},
            {"role": "developer", "content": "s"},
        ],
    ),
    "thinking is left out": (
        [user("go"), assistant(thinking("hm", "sig"), "ok"), user("on")],
        [{"role": "user", "content": "go"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "on"}],
    ),
    "what a web search left": (
        [
            user("go"),
            assistant(
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s1",
                 "content": [{"type": "web_search_result", "title": "T", "url": "https://t", "encrypted_content": "x"}]},
                "ok",
            ),
        ],
        [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": '(Called web_search with {"query":"q"}.)\n- T https://t\nok'},
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("turns", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_is_written(turns: list[Json], expected: list[Json]) -> None:
    assert messages(*turns) == expected


def test_the_system_prompt_comes_first_and_without_attribution() -> None:
    hub = {"messages": [user("hi")], "system": [text(ATTRIBUTION), text("Be brief."), text("Be kind.")]}
    assert sent(hub)["messages"][0] == {"role": "system", "content": "Be brief.\n\nBe kind."}


def test_settings_are_written() -> None:
    hub = {
        "messages": [user("hi")],
        "tools": [tool(), {"name": "bare"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["a", "b"],
        "temperature": 0.5,
        "top_p": 0.9,
        "metadata": {"user_id": "somebody"},
        "output_config": {
            "format": {"type": "json_schema", "schema": SCHEMA | {"additionalProperties": False}}
        },
    }
    body = sent(hub, stream=True, quirks=frozenset({"identity"}))
    user_hash = body.pop("safety_identifier")
    assert len(user_hash) == 64
    assert body.pop("prompt_cache_key") == user_hash
    assert body == {
        "model": "up",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {"type": "function", "function": {"name": "get", "description": "Gets.", "parameters": SCHEMA}},
            {
                "type": "function",
                "function": {"name": "bare", "parameters": {"type": "object", "properties": {}}},
            },
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": SCHEMA | {"additionalProperties": False},
                "strict": True,
            },
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


CHOICES = [
    ({"type": "auto"}, "auto"),
    ({"type": "any"}, "required"),
    ({"type": "none"}, "none"),
    ({"type": "tool", "name": "get"}, {"type": "function", "function": {"name": "get"}}),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_a_tool_choice_is_written_and_read(choice: Json, expected: Any) -> None:
    body = sent({"messages": [user("hi")], "tools": [tool()], "tool_choice": choice})
    assert body["tool_choice"] == expected
    assert openai_chat.read_request(body, Target()).hub["tool_choice"] == choice


THINKING: list[tuple[str, Json, str | None]] = [
    ("gpt-5.2", {"thinking": {"type": "disabled"}}, "none"),
    ("gpt-5", {"thinking": {"type": "disabled"}}, "minimal"),
    ("o3", {"thinking": {"type": "disabled"}}, "low"),
    ("gpt-5.2", {"thinking": {"type": "adaptive"}}, None),
    ("gpt-5.2", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "xhigh"),
    ("gpt-5.6-sol", {"output_config": {"effort": "max"}}, "max"),
    ("o3", {"output_config": {"effort": "xhigh"}}, "high"),
    ("o3", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
    ("o3", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
    ("o3", {"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "high"),
    ("gpt-4.1", {"output_config": {"effort": "high"}}, None),
]


@pytest.mark.parametrize(("model", "hub", "expected"), THINKING)
def test_thinking_becomes_an_effort_that_the_model_knows(model: str, hub: Json, expected: str | None) -> None:
    body = sent({"messages": [user("hi")], **hub}, quirks=of_model(model))
    assert body.get("reasoning_effort") == expected


def test_a_reasoning_model_gets_no_sampling() -> None:
    made = outbound(
        openai_chat, {"messages": [user("hi")], "temperature": 1, "top_p": 1}, "o3", quirks=of_model("o3")
    )
    assert not {"temperature", "top_p"} & made.body.keys()
    assert set(made.losses) == {"temperature", "top_p"}


def test_quirks_of_compatible_providers() -> None:
    hub = {
        "messages": [
            user("a"),
            assistant(thinking("hm", ""), use("get", "toolu_01")),
            user(result("toolu_01", "1")),
            system("s"),
        ],
        "tools": [tool()],
        "top_k": 5,
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    quirks = {
        "max_tokens",
        "no_developer",
        "no_stream_options",
        "json_object",
        "top_k",
        "nine",
        "replay_reasoning",
    }
    body = sent(hub, stream=True, quirks=frozenset(quirks))
    assert body["max_tokens"] == 100
    assert body["messages"][-1]["role"] == "system"
    assert "stream_options" not in body
    assert body["response_format"] == {"type": "json_object"}
    assert body["top_k"] == 5
    assistant_turn, tool_turn = body["messages"][1:3]
    assert assistant_turn["reasoning_content"] == "hm"
    assert len(tool_turn["tool_call_id"]) == 9
    assert tool_turn["tool_call_id"] == assistant_turn["tool_calls"][0]["id"]


def test_long_names_and_ids_fit_and_come_back() -> None:
    ident = "toolu_" + "x" * 60
    hub = {
        "messages": [user("a"), assistant(use(LONG_NAME, ident)), user(result(ident, "1"))],
        "tools": [tool(LONG_NAME)],
        "tool_choice": {"type": "tool", "name": LONG_NAME},
    }
    made = outbound(openai_chat, hub, "up")
    short = made.body["tools"][0]["function"]["name"]
    assert len(short) <= 64
    assert made.reply.names == {short: LONG_NAME}
    assert made.body["tool_choice"]["function"]["name"] == short
    (call,) = made.body["messages"][1]["tool_calls"]
    assert call["function"]["name"] == short
    assert call["id"] == made.body["messages"][2]["tool_call_id"]
    assert len(call["id"]) <= 40


def test_unknown_fields_are_losses_and_unknown_blocks_are_refused_by_name() -> None:
    made = outbound(
        openai_chat, {"messages": [user("hi")], "context_management": {}, "speed": "fast", "top_k": 1}, "up"
    )
    assert set(made.losses) == {"context_management", "speed", "top_k"}
    for block in ({"type": "container_upload"}, {"type": "future_block"}):
        with pytest.raises(BadRequest, match=block["type"]):
            messages(user(block))
        with pytest.raises(BadRequest, match=block["type"]):
            messages(user("a"), assistant(block))


@pytest.mark.parametrize(
    "tools",
    [[{"type": "web_search_20250305", "name": "web_search"}], [{"type": "bash_20250124", "name": "bash"}]],
)
def test_tools_of_anthropics_servers_are_refused(tools: list[Json]) -> None:
    with pytest.raises(BadRequest, match=tools[0]["type"]):
        sent({"messages": [user("hi")], "tools": tools})


SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def test_a_search_beside_other_tools_is_left_out() -> None:
    for dialect in (openai_chat, bedrock_converse, gemini):
        made = outbound(dialect, {"messages": [user("hi")], "tools": [SEARCH, tool()]}, "up")
        assert "tools.web_search" in made.losses
        assert "web_search" not in str(made.body)


@pytest.mark.parametrize(
    ("hub", "quirks"),
    [
        ({"tools": [SEARCH, tool()], "tool_choice": {"type": "tool", "name": "web_search"}}, frozenset()),
        ({"tools": [SEARCH, tool()], "tool_choice": {"type": "any"}}, frozenset()),
        ({"tools": [SEARCH, tool()]}, frozenset({"strict_web_search"})),
    ],
)
def test_a_search_that_is_wanted_is_refused(hub: Json, quirks: frozenset[str]) -> None:
    for dialect in (openai_chat, bedrock_converse, gemini):
        with pytest.raises(BadRequest, match="search"):
            outbound(dialect, {"messages": [user("hi")], **hub}, "up", quirks=quirks)


@pytest.mark.parametrize("field", ["mcp_servers", "container"])
def test_what_only_anthropic_has_is_refused(field: str) -> None:
    with pytest.raises(BadRequest, match=field):
        sent({"messages": [user("hi")], field: [{"type": "url"}]})


def test_deferred_tools_are_offered_once_a_search_has_found_them() -> None:
    tools = [tool("now"), tool("later", defer_loading=True), tool("never", defer_loading=True)]
    found = result("t1", [{"type": "tool_reference", "tool_name": "later"}])
    hub = {"messages": [user("go"), assistant(use("ToolSearch", "t1")), user(found)], "tools": tools}
    made = outbound(openai_chat, hub, "up").body
    assert [each["function"]["name"] for each in made["tools"]] == ["now", "later"]
    assert made["messages"][2]["content"] == "Tool: later"


def test_where_anthropics_servers_would_search_all_tools_are_offered() -> None:
    tools = [{"type": "tool_search_tool_regex_20251119", "name": "tool_search"}, tool(defer_loading=True)]
    made = outbound(openai_chat, {"messages": [user("hi")], "tools": tools}, "up")
    assert [each["function"]["name"] for each in made.body["tools"]] == ["get"]
    assert "defer_loading" in made.losses


def test_a_tool_that_is_added_in_the_conversation_is_told_and_offered() -> None:
    added = {
        "role": "system",
        "content": [{"type": "tool_addition", "tool": {"name": "new", "definition": tool("new")}}],
    }
    made = outbound(openai_chat, {"messages": [user("hi"), added, user("go")], "tools": [tool()]}, "up").body
    assert [each["function"]["name"] for each in made["tools"]] == ["get", "new"]
    assert made["messages"][1] == {"role": "developer", "content": "The tool new is now available."}


SCHEMAS: list[tuple[Any, Json]] = [
    (None, {"type": "object", "properties": {}}),
    ({"type": "object"}, {"type": "object", "properties": {}}),
    (SCHEMA, SCHEMA),
    (
        {"anyOf": [{"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
                   {"type": "object", "properties": {"a": {}}, "required": ["a"]}]},
        {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
    ),
    (
        {"type": "object", "properties": {"c": {}}, "allOf": [{"properties": {"a": {}}, "required": ["a"]}], "not": {}},
        {"type": "object", "properties": {"a": {}, "c": {}}, "required": ["a"]},
    ),
    ({"type": "object", "properties": {"anyOf": {"type": "string"}}, "$defs": {"x": {}}},
     {"type": "object", "properties": {"anyOf": {"type": "string"}}, "$defs": {"x": {}}}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_hostile_schemas_become_plain_objects(schema: Any, expected: Json) -> None:
    assert parameters(schema) == expected


def test_strict_is_only_for_schemas_that_openai_takes() -> None:
    closed = SCHEMA | {"additionalProperties": False}
    assert strictable(closed)
    assert not strictable(SCHEMA)
    assert not strictable(closed | {"required": []})
    assert not strictable(
        {"type": "object", "properties": {"a": SCHEMA}, "required": ["a"], "additionalProperties": False}
    )


def read(body: Json) -> Json:
    return openai_chat.read_request({"model": "m", **body}, Target()).hub


def test_a_request_of_a_chat_client_is_read() -> None:
    request = openai_chat.read_request(
        {
            "model": "claude-x",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": URL}}]},
                {"role": "assistant", "content": "ok", "tool_calls": [called("c1", "a", '{"n":1}'), called("c2", "b", "")]},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
                {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "1"}]},
                {"role": "developer", "content": "Now."},
                {"role": "user", "content": "on"},
            ],
            "tools": [{"type": "function", "function": {"name": "a", "description": "A.", "parameters": SCHEMA, "strict": True}},
                      {"type": "function", "function": {"name": "b"}}],
            "parallel_tool_calls": False,
            "max_tokens": 50,
            "stop": "END",
            "temperature": 0.1,
            "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
            "user": "somebody",
            "seed": 7,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        Target(),
    )  # fmt: skip
    assert request.hub == {
        "model": "claude-x",
        "system": [text("Be brief."), text("Be kind.")],
        "messages": [
            user("look", image(PNG)),
            assistant("ok", use("a", "c1", n=1), use("b", "c2")),
            user(result("c2", "2"), result("c1", [text("1")])),
            {"role": "system", "content": [text("Now.")]},
            user("on"),
        ],
        "tools": [
            {"name": "a", "description": "A.", "input_schema": SCHEMA, "strict": True},
            {"name": "b", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "temperature": 0.1,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "metadata": {"user_id": "somebody"},
    }
    assert request.stream
    assert request.losses == ["seed"]
    assert request.wire["include_usage"] is True


def test_a_client_that_names_no_maximum_leaves_it_to_the_gateway() -> None:
    assert "max_tokens" not in read({"messages": [{"role": "user", "content": "hi"}]})


def test_free_text_tools_become_tools_with_one_text() -> None:
    hub = read(
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "."},
            ],
            "tools": [{"type": "custom", "custom": {"name": "run", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}}}],
        }
    )  # fmt: skip
    (made,) = hub["tools"]
    assert made["input_schema"]["required"] == ["input"]
    assert "start: X" in made["description"]
    assert hub["messages"][1]["content"] == [use("run", "c1", input="ls")]


REFUSED: list[tuple[str, Json]] = [
    ("n", {"n": 2}),
    ("functions", {"functions": []}),
    ("input_audio", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
    ("narrator", {"messages": [{"role": "narrator", "content": "x"}]}),
    ("file", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
    ("future", {"tools": [{"type": "future"}]}),
    ("messages", {"messages": None}),
    (
        "image",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}
            ]
        },
    ),
]


@pytest.mark.parametrize(("named", "body"), REFUSED)
def test_what_cannot_be_read_is_refused_by_name(named: str, body: Json) -> None:
    with pytest.raises(BadRequest, match=named):
        read({"messages": [{"role": "user", "content": "hi"}], **body})


def test_broken_arguments_in_a_history_keep_what_was_whole() -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [called("c1", "a", '{"n":1,"t":"ha')]},
    ]
    assert read({"messages": messages})["messages"][1]["content"][0]["input"] == {"n": 1}


def test_the_same_dialect_changes_only_the_model_and_asks_for_usage() -> None:
    body = (
        b'{ "model":"alias", "x_new": 1.0, "stream":true ,"messages":[{"role":"user","content":"\\u00e9"}]}'
    )
    made = openai_chat.forward(body, Options(model="up", stream=True))
    assert orjson.loads(made) == orjson.loads(body) | {
        "model": "up",
        "stream_options": {"include_usage": True},
    }
    assert b'"content":"\\u00e9"' in made
    assert b"1.0" in made
    same = b'{"model":"up", "messages": []}'
    assert openai_chat.forward(same, Options(model="up")) is same


turn = st.one_of(
    st.builds(lambda t: user(t), st.text(max_size=5)),
    st.builds(lambda t: system(t), st.text(max_size=5)),
    st.builds(
        lambda n: assistant(*[use("a", f"t{i}") for i in n]),
        st.lists(st.integers(0, 5), max_size=3, unique=True),
    ),
    st.builds(
        lambda n: user(*[result(f"t{i}", "r") for i in n]),
        st.lists(st.integers(0, 5), max_size=3, unique=True),
    ),
)


@settings(max_examples=200)
@given(st.lists(turn, max_size=8))
def test_every_call_is_answered_straight_after_it_and_nothing_else_answers(turns: list[Json]) -> None:
    waiting: list[str] = []
    for message in messages(*turns):
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls", ())]
    assert not waiting
