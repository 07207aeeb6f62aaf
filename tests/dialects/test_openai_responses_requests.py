"""Requests between the hub and OpenAI's Responses, in both directions; Codex CLI is the client to please."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import openai_responses
from gateway.llm.dialects.protocol import Json, Options, Target
from gateway.llm.quirks import of_model
from tests.dialects.conversations import (
    ATTRIBUTION,
    LONG_NAME,
    PDF,
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

URL = "data:image/png;base64,iVBORw0KGgo="


def sent(hub: Json, **options: Any) -> Json:
    return outbound(openai_responses, hub, "up", **options).body


def items(*turns: Json) -> list[Json]:
    found: list[Json] = sent({"messages": list(turns)})["input"]
    return found


def said(role: str, *parts: Json) -> Json:
    return {"type": "message", "role": role, "content": list(parts)}


def typed(words: str) -> Json:
    return {"type": "input_text", "text": words}


def wrote(words: str) -> Json:
    return said("assistant", {"type": "output_text", "text": words})


def called(ident: str, name: str, arguments: str) -> Json:
    return {"type": "function_call", "call_id": ident, "name": name, "arguments": arguments}


def output(ident: str, content: Any) -> Json:
    return {"type": "function_call_output", "call_id": ident, "output": content}


def reasoned(ident: str, secret: str, *summary: str) -> Json:
    parts = [{"type": "summary_text", "text": words} for words in summary]
    return {"id": ident, "type": "reasoning", "summary": parts, "encrypted_content": secret}


CONVERSATIONS: dict[str, tuple[list[Json], list[Json]]] = {
    "text": (
        [user("a"), assistant("b"), user("c")],
        [said("user", typed("a")), wrote("b"), said("user", typed("c"))],
    ),
    "a system message keeps its place": (
        [user("a"), system("b"), user("c")],
        [said("user", typed("a")), said("developer", typed("b")), said("user", typed("c"))],
    ),
    "media": (
        [
            user(
                image(),
                document(title="a.pdf"),
                document({"type": "url", "url": "https://x/y.pdf"}),
                document({"type": "text", "data": "t"}),
            )
        ],
        [
            said(
                "user",
                {"type": "input_image", "image_url": URL},
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,JVBERi0=",
                },
                {"type": "input_file", "file_url": "https://x/y.pdf"},
                typed("t"),
            )
        ],
    ),
    "parallel calls answered out of order": (
        [
            user("go"),
            assistant("ok", use("a", "t1", n=1), use("b", "t2")),
            user(result("t2", [text("2"), image()], failed=True), "and?", result("t1", "1")),
        ],
        [
            said("user", typed("go")),
            wrote("ok"),
            called("t1", "a", '{"n":1}'),
            called("t2", "b", "{}"),
            output("t1", "1"),
            output("t2", [typed("Error:"), typed("2"), {"type": "input_image", "image_url": URL}]),
            said("user", typed("and?")),
        ],
    ),
    "a failed result": (
        [user("go"), assistant(use("a", "t1")), user(result("t1", [text("no"), text("way")], failed=True))],
        [said("user", typed("go")), called("t1", "a", "{}"), output("t1", "Error: no\nway")],
    ),
    "a result that never came": (
        [user("go"), assistant(use("a", "t1")), user("well")],
        [
            said("user", typed("go")),
            called("t1", "a", "{}"),
            output("t1", "Error: No result: the call was not carried out."),
            said("user", typed("well")),
        ],
    ),
    "our reasoning stands before what it led to": (
        [
            user("go"),
            assistant(
                thinking("First.", "oa1.rs_1.one"),
                use("a", "t1"),
                {"type": "redacted_thinking", "data": "oa1.rs_2.two"},
                use("b", "t2"),
            ),
            user(result("t1", "1"), result("t2", "2")),
        ],
        [
            said("user", typed("go")),
            reasoned("rs_1", "one", "First."),
            called("t1", "a", "{}"),
            reasoned("rs_2", "two"),
            called("t2", "b", "{}"),
            output("t1", "1"),
            output("t2", "2"),
        ],
    ),
    "another provider's thinking is left out": (
        [
            user("go"),
            assistant(
                thinking("Claude's.", "sig"),
                thinking("Gemini's.", "gm1.x"),
                thinking("Unsigned.", ""),
                use("a", "t1"),
            ),
            user(result("t1", "1")),
        ],
        [said("user", typed("go")), called("t1", "a", "{}"), output("t1", "1")],
    ),
    "reasoning that led to nothing is left out": (
        [user("go"), assistant("ok", thinking("Hm.", "oa1.rs_1.one")), user("on")],
        [said("user", typed("go")), wrote("ok"), said("user", typed("on"))],
    ),
}


@pytest.mark.parametrize(("turns", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_is_written(turns: list[Json], expected: list[Json]) -> None:
    assert items(*turns) == expected


def test_settings_are_written() -> None:
    hub = {
        "messages": [user("hi")],
        "system": [text(ATTRIBUTION), text("Be brief.")],
        "max_tokens": 5,
        "tools": [tool(), tool("closed", strict=True, input_schema=SCHEMA | {"additionalProperties": False})],
        "tool_choice": {"type": "tool", "name": "get", "disable_parallel_tool_use": True},
        "temperature": 0.5,
        "stop_sequences": ["x"],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    made = outbound(openai_responses, hub, "up", stream=True)
    assert made.path == "/responses"
    assert made.losses == ["stop_sequences"]
    assert made.body == {
        "model": "up",
        "input": [said("user", typed("hi"))],
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "get", "description": "Gets.", "parameters": SCHEMA, "strict": False},
            {"type": "function", "name": "closed", "description": "Gets.",
             "parameters": SCHEMA | {"additionalProperties": False}, "strict": True},
        ],
        "tool_choice": {"type": "function", "name": "get"},
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": False}},
        "store": False,
        "max_output_tokens": 16,
        "temperature": 0.5,
        "stream": True,
    }  # fmt: skip


THINKING: list[tuple[str, Json, Json | None]] = [
    ("gpt-5.2", {"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
    (
        "gpt-5.2",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        {"effort": "high", "summary": "auto"},
    ),
    (
        "gpt-5.2",
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
        {"effort": "low"},
    ),
    ("gpt-5.2", {"thinking": {"type": "disabled"}}, {"effort": "none"}),
    ("gpt-5.2", {}, None),
    ("gpt-4.1", {"thinking": {"type": "adaptive"}}, None),
]


@pytest.mark.parametrize(("model", "hub", "expected"), THINKING)
def test_thinking_becomes_reasoning(model: str, hub: Json, expected: Json | None) -> None:
    body = sent({"messages": [user("hi")], "temperature": 1, **hub}, quirks=of_model(model))
    assert body.get("reasoning") == expected
    thinks = model != "gpt-4.1"
    assert ("reasoning.encrypted_content" in body.get("include", [])) is thinks
    assert ("temperature" in body) is not thinks


def test_counting_sends_what_is_counted() -> None:
    made = outbound(openai_responses, {"messages": [user("hi")], "tools": [tool()]}, "up", count=True)
    assert made.path == "/responses/input_tokens"
    assert set(made.body) == {"model", "input", "tools"}
    assert openai_responses.read_count({"object": "response.input_tokens", "input_tokens": 11}) == 11


def test_a_web_search_becomes_openais() -> None:
    tools = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["a.org"]}
    ]
    made = outbound(openai_responses, {"messages": [user("hi")], "tools": tools}, "up")
    assert made.body["tools"] == [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]
    assert made.body["include"] == ["web_search_call.action.sources"]
    assert "web_search.max_uses" in made.losses


def test_long_names_fit_and_come_back() -> None:
    made = outbound(
        openai_responses,
        {"messages": [user("a"), assistant(use(LONG_NAME, "t1"))], "tools": [tool(LONG_NAME)]},
        "up",
    )
    short = made.body["tools"][0]["name"]
    assert len(short) <= 64
    assert made.body["input"][1]["name"] == short
    assert made.reply.names == {short: LONG_NAME}


def test_unknown_blocks_are_refused_by_name() -> None:
    for turns in ([user({"type": "future_block"})], [user("a"), assistant({"type": "future_block"})]):
        with pytest.raises(BadRequest, match="future_block"):
            items(*turns)


def read(given: Any, **body: Any) -> Json:
    return openai_responses.read_request({"model": "m", "input": given, **body}, Target()).hub


CODEX: Json = {
    "model": "claude-x",
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [typed("<permissions>")]},
        {"type": "message", "role": "user", "content": [typed("list files"), {"type": "input_image", "image_url": URL}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gw1.t.sig"},
        {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "c1"},
        {"type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "apply_patch", "input": "*** Begin Patch"},
        {"type": "local_shell_call", "call_id": "c3", "status": "completed", "action": {"type": "exec", "command": ["pwd"], "timeout_ms": 5, "env": None}},
        {"type": "function_call", "name": "read", "namespace": "files", "arguments": "{}", "call_id": "c4"},
        {"type": "function_call_output", "call_id": "c1", "output": "a.py"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
        {"type": "function_call_output", "call_id": "c3", "output": [typed("/x"), {"type": "input_image", "image_url": URL}]},
        {"type": "function_call_output", "call_id": "c4", "output": "text"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]},
        {"role": "user", "content": "thanks"},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": SCHEMA},
        {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
        {"type": "local_shell"},
        {"type": "namespace", "name": "files", "description": "Files.", "tools": [{"type": "function", "name": "read", "parameters": SCHEMA}]},
        {"type": "web_search", "external_web_access": True},
        {"type": "tool_search"},
        {"type": "image_generation", "output_format": "png"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "abc",
    "text": {"verbosity": "low"},
}  # fmt: skip


def test_what_codex_sends_is_read() -> None:
    request = openai_responses.read_request(CODEX, Target())
    hub = request.hub
    assert [text(block["text"]) for block in hub["system"]] == [
        text("You are a coding agent."),
        text("<permissions>"),
    ]
    assert hub["messages"] == [
        user("list files", image(PNG)),
        assistant(
            thinking("Hm.", "sig"),
            use("shell", "c1", command=["ls"]),
            use("apply_patch", "c2", input="*** Begin Patch"),
            use("local_shell", "c3", command=["pwd"], timeout_ms=5),
            use("files__read", "c4"),
        ),
        user(
            result("c1", "a.py"),
            result("c2", "ok"),
            result("c3", [text("/x"), image(PNG)]),
            result("c4", "text"),
        ),
        assistant("Done."),
        user("thanks"),
    ]
    assert [each["name"] for each in hub["tools"]] == [
        "shell",
        "apply_patch",
        "local_shell",
        "files__read",
        "web_search",
    ]
    assert "start: X" in hub["tools"][1]["description"]
    assert hub["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert (hub["thinking"], hub["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    assert "max_tokens" not in hub
    assert request.stream
    assert set(request.losses) == {
        "prompt_cache_key",
        "text.verbosity",
        "tools.tool_search",
        "tools.image_generation",
    }


def test_a_search_of_openais_cache_is_left_out() -> None:
    tools = [
        {"type": "web_search", "external_web_access": False},
        {"type": "function", "name": "a", "parameters": SCHEMA},
    ]
    request = openai_responses.read_request({"model": "m", "input": "hi", "tools": tools}, Target())
    assert [each["name"] for each in request.hub["tools"]] == ["a"]
    assert request.losses == ["tools.web_search"]


def test_a_text_alone_is_an_input() -> None:
    assert read("hi")["messages"] == [user("hi")]


def test_a_file_and_a_failed_patch_are_read() -> None:
    hub = read(
        [
            {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}]},
            {"type": "apply_patch_call", "id": "x", "call_id": "c1", "status": "completed", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no such file"},
            {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        ]
    )  # fmt: skip
    assert hub["messages"][0] == user(document(PDF, title="a.pdf"))
    assert hub["messages"][1] == assistant(use("apply_patch", "c1", type="delete_file", path="a"))
    assert hub["messages"][2] == user(result("c1", "no such file", failed=True))
    assert hub["messages"][4]["content"][0]["content"].startswith('[{"stdout":"x"')


def test_reasoning_finds_its_way_back_to_whoever_signed_it() -> None:
    blocks = read(
        [
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Mine."}], "encrypted_content": "gAAA"},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAB"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Claude's."}], "encrypted_content": "gw1.t.EqRk"},
            {"type": "reasoning", "summary": [], "encrypted_content": "gw1.r.Emwk"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "G"}], "encrypted_content": "gw1.t.gm1.x"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Nobody's."}], "encrypted_content": None},
            {"type": "function_call", "name": "a", "arguments": "{}", "call_id": "c1"},
        ]
    )["messages"][1]["content"]  # fmt: skip
    assert blocks[:-1] == [
        thinking("Mine.", "oa1.rs_1.gAAA"),
        {"type": "redacted_thinking", "data": "oa1.rs_2.gAAB"},
        thinking("Claude's.", "EqRk"),
        {"type": "redacted_thinking", "data": "Emwk"},
        thinking("G", "gm1.x"),
    ]


def test_tools_that_a_search_has_found_are_offered() -> None:
    hub = read(
        [
            {"role": "user", "content": "go"},
            {"type": "tool_search_call", "call_id": "s1", "arguments": {"query": "q"}},
            {
                "type": "tool_search_output",
                "call_id": "s1",
                "tools": [{"type": "function", "name": "found", "parameters": SCHEMA}],
            },
        ],
        tools=[{"type": "tool_search"}],
    )
    assert [each["name"] for each in hub["tools"]] == ["found"]


REFUSED: list[tuple[str, Any, Json]] = [
    ("previous_response_id", "hi", {"previous_response_id": "resp_1"}),
    ("conversation", "hi", {"conversation": "conv_1"}),
    ("background", "hi", {"background": True}),
    ("prompt", "hi", {"prompt": {"id": "p"}}),
    ("item_reference", [{"type": "item_reference", "id": "x"}], {}),
    ("compaction", [{"type": "compaction", "encrypted_content": "x"}], {}),
    ("image_generation", "hi", {"tools": [{"type": "image_generation"}]}),
    ("input_audio", [{"role": "user", "content": [{"type": "input_audio"}]}], {}),
    ("narrator", [{"role": "narrator", "content": "x"}], {}),
    ("image_url", [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], {}),
    ("input", None, {}),
]


@pytest.mark.parametrize(("named", "given", "body"), REFUSED)
def test_what_cannot_be_read_is_refused_by_name(named: str, given: Any, body: Json) -> None:
    with pytest.raises(BadRequest, match=named):
        read(given, **body)


CHOICES = [
    ("auto", {"type": "auto"}),
    ("required", {"type": "any"}),
    ("none", {"type": "none"}),
    ({"type": "function", "name": "get"}, {"type": "tool", "name": "get"}),
    ({"type": "allowed_tools", "mode": "required", "tools": []}, {"type": "any"}),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_a_tool_choice_is_read(choice: Any, expected: Json) -> None:
    tools = [{"type": "function", "name": "get", "parameters": SCHEMA}]
    assert read("hi", tools=tools, tool_choice=choice)["tool_choice"] == expected


def test_the_same_dialect_passes_every_byte_but_anothers_reasoning() -> None:
    body = b'{ "model":"up", "x_new": 1.0, "input": [{"type":"reasoning","encrypted_content":"gAAA"}]}'
    assert openai_responses.forward(body, Options(model="up")) is body
    mixed = orjson.dumps(
        {"model": "alias", "input": ["kept", {"type": "reasoning", "encrypted_content": "gw1.t.sig"}]}
    )
    assert orjson.loads(openai_responses.forward(mixed, Options(model="up"))) == {
        "model": "up",
        "input": ["kept"],
    }
