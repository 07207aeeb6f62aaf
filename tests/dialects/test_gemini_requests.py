"""Messages requests as Gemini gets them: one table a topic, each row a case of the wire's facts."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import gemini
from gateway.llm.dialects.gemini.recall import Recall
from gateway.llm.dialects.reduce import expand
from gateway.llm.dialects.thoughts import SKIP, of_calls, unsigned_calls, wrap
from tests.dialects.driving import outbound

G3 = "gemini-3-flash-preview"
G25 = "gemini-2.5-flash"
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
INLINE = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
TOOL = {
    "name": "look",
    "description": "Looks.",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
}


def user(*content: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "text", "text": c} if isinstance(c, str) else c for c in content],
    }


def model(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def call(ident: str, name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": ident, "name": name, "input": arguments}


def result(ident: str, content: Any = "done", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **more}


def signed(place: str, signature: str, thinking: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": thinking, "signature": wrap(place, signature)}


def called(ident: str, args: Any, signature: str | None = None, name: str = "look") -> dict[str, Any]:
    part = {"functionCall": {"id": ident, "name": name, "args": args}}
    return {**part, "thoughtSignature": signature} if signature else part


def answered(ident: str, response: Any, name: str = "look", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": ident, "name": name, "response": response, **more}}


def says(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": p} if isinstance(p, str) else p for p in parts]}


def contents(messages: list[Any], to: str = G3, **options: Any) -> Any:
    return outbound(gemini, {"messages": messages}, to, **options).body["contents"]


CONVERSATIONS: dict[str, tuple[list[Any], list[Any]]] = {
    "plain text": ([{"role": "user", "content": "Hi"}], [says("user", "Hi")]),
    "neighbours of one role are merged into one content": (
        [user("a"), user("b"), model("c"), model("d")],
        [says("user", "a", "b"), says("model", "c", "d")],
    ),
    "empty texts are left out": ([user("a", "")], [says("user", "a")]),
    "contents are never empty": ([user("")], [says("user", " ")]),
    "the system speaks mid-conversation as the user, after the results": (
        [user("go"), model(signed("c", "S"), call("t1")), user(result("t1")), {"role": "system", "content": "Mind the budget."}],
        [says("user", "go"), says("model", called("t1", {}, "S")), says("user", answered("t1", {"output": "done"})),
         says("user", "Mind the budget.")],
    ),
    "images and documents are inline data": (
        [user(PNG, {"type": "document", "title": "Report", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}})],
        [says("user", INLINE, "Report", {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}})],
    ),
    "a text document is text": (
        [user({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}})],
        [says("user", "words")],
    ),
    "a document of content is its parts": (
        [user({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}, PNG]}})],
        [says("user", "x", INLINE)],
    ),
    "a gs:// address is file data": (
        [user({"type": "image", "source": {"type": "url", "url": "gs://b/cat.webp"}})],
        [says("user", {"fileData": {"mimeType": "image/webp", "fileUri": "gs://b/cat.webp"}})],
    ),
    "a search result is text": (
        [user({"type": "search_result", "title": "T", "source": "https://s", "content": [{"type": "text", "text": "found"}]})],
        [says("user", "T https://s\nfound")],
    ),
    "three parallel calls answered out of order are answered in order, and what the user says comes after": (
        [user("go"), model(signed("c", "S1"), call("a", n=1), call("b", n=2), call("c", n=3)),
         user("by the way", result("c", "3"), result("a", "1"), result("b", "2"))],
        [says("user", "go"), says("model", called("a", {"n": 1}, "S1"), called("b", {"n": 2}), called("c", {"n": 3})),
         says("user", answered("a", {"output": "1"}), answered("b", {"output": "2"}), answered("c", {"output": "3"})),
         says("user", "by the way")],
    ),
    "results that come in several messages answer their calls together": (
        [user("go"), model(signed("c", "S"), call("a"), call("b")), user(result("b")), user(result("a"))],
        [says("user", "go"), says("model", called("a", {}, "S"), called("b", {})),
         says("user", answered("a", {"output": "done"}), answered("b", {"output": "done"}))],
    ),
    "a missing result is an error, an orphan is text": (
        [user("go"), model(signed("c", "S"), call("a")), user(result("z", "lost"))],
        [says("user", "go"), says("model", called("a", {}, "S")),
         says("user", answered("a", {"error": "No result: the call was not carried out."})),
         says("user", "Result of an earlier call: lost")],
    ),
    "a failed tool says error": (
        [user("go"), model(signed("c", "S"), call("a")), user(result("a", "no such file", is_error=True))],
        [says("user", "go"), says("model", called("a", {}, "S")), says("user", answered("a", {"error": "no such file"}))],
    ),
    "a result that looks like a pointer stays wrapped": (
        [user("go"), model(signed("c", "S"), call("a")), user(result("a", '{"$ref":"x"}'))],
        [says("user", "go"), says("model", called("a", {}, "S")), says("user", answered("a", {"output": '{"$ref":"x"}'}))],
    ),
    "an image in a result is a part of the response": (
        [user("go"), model(signed("c", "S"), call("a")), user(result("a", [{"type": "text", "text": "shot"}, PNG]))],
        [says("user", "go"), says("model", called("a", {}, "S")),
         says("user", answered("a", {"output": "shot"}, parts=[INLINE]))],
    ),
    "two sequential steps are each signed": (
        [user("go"), model(signed("c", "S1"), call("a")), user(result("a")), model(signed("c", "S2", "hm"), call("b")), user(result("b"))],
        [says("user", "go"), says("model", called("a", {}, "S1")), says("user", answered("a", {"output": "done"})),
         says("model", {"text": "hm", "thought": True}, called("b", {}, "S2")), says("user", answered("b", {"output": "done"}))],
    ),
    "a signature goes back to the end of the text that it signed": (
        [user("go"), model("Hello world", signed("t6", "S")), user("on")],
        [says("user", "go"), says("model", "Hello", {"text": " world", "thoughtSignature": "S"}), says("user", "on")],
    ),
    "a signature of an empty part goes back on an empty part": (
        [user("go"), model("Hello", signed("t0", "S")), user("on")],
        [says("user", "go"), says("model", "Hello", {"text": "", "thoughtSignature": "S"}), says("user", "on")],
    ),
    "a signed thought is replayed signed": (
        [user("go"), model(signed("h", "S", "hm"), "Hello"), user("on")],
        [says("user", "go"), says("model", {"text": "hm", "thought": True, "thoughtSignature": "S"}, "Hello"), says("user", "on")],
    ),
    "Claude's thinking is dropped, and its call goes in with Google's word for foreign calls": (
        [user("go"), model({"type": "thinking", "thinking": "hm", "signature": "Eo4DCm"}, call("a"), call("b")), user(result("a"), result("b"))],
        [says("user", "go"), says("model", called("a", {}, SKIP), called("b", {})),
         says("user", answered("a", {"output": "done"}), answered("b", {"output": "done"}))],
    ),
    "OpenAI's thinking is dropped too": (
        [user("go"), model({"type": "redacted_thinking", "data": "oa1.xyz"}, "Hello"), user("on")],
        [says("user", "go"), says("model", "Hello"), says("user", "on")],
    ),
    "what a server tool of Anthropic's found stays as text": (
        [user("go"), model({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
                           {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1",
                            "content": [{"type": "web_search_result", "title": "T", "url": "https://t", "encrypted_content": "x"}]})],
        [says("user", "go"), says("model", '(Called web_search with {"query":"q"}.)', "- T https://t")],
    ),
    "a compacted past is text": (
        [user("go"), model({"type": "compaction", "content": "So far: nothing."}), user("on")],
        [says("user", "go"), says("model", "So far: nothing."), says("user", "on")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONVERSATIONS)
def test_conversations_are_written_as_gemini_3_wants_them(case: str) -> None:
    messages, expected = CONVERSATIONS[case]
    assert contents(messages) == expected


def test_before_gemini_3_an_image_in_a_result_follows_it_in_what_the_user_says() -> None:
    messages = [
        user("go"),
        model(call("a")),
        user(result("a", [{"type": "text", "text": "shot"}, PNG]), "well?"),
    ]
    assert contents(messages, G25) == [
        says("user", "go"),
        says("model", called("a", {})),
        says("user", answered("a", {"output": "shot\nSee file 1."})),
        says("user", "This is file 1:", INLINE, "well?"),
    ]


def test_an_old_vertex_model_gets_no_call_ids() -> None:
    messages = [user("go"), model(call("a")), user(result("a"))]
    (_, asked, told) = contents(messages, "gemini-2.0-flash", quirks=frozenset({"vertex"}))
    assert asked["parts"] == [{"functionCall": {"name": "look", "args": {}}}]
    assert "id" not in told["parts"][0]["functionResponse"]


def test_a_remembered_signature_serves_a_client_that_drops_thinking() -> None:
    answer = model(signed("c", "S"), call("a"), call("b"))
    memory = of_calls(answer)
    replayed = [user("go"), model(call("a"), call("b")), user(result("a"), result("b"))]
    assert unsigned_calls({"messages": replayed}) == ["a"]
    assert contents(replayed, signatures=memory)[1] == says("model", called("a", {}, "S"), called("b", {}))


def test_what_a_client_of_another_dialect_drops_is_recalled_within_bounds() -> None:
    answer = {"id": "m", "model": "m", "stop_reason": "tool_use", "stop_sequence": None, "usage": {},
              "content": [signed("c", "S"), call("a"), call("b")]}  # fmt: skip
    replayed = {"messages": [user("go"), model(call("a"), call("b")), user(result("a"), result("b"))]}
    whole, streamed, small = Recall(), Recall(), Recall(limit=len(wrap("c", "S")))
    whole.message(answer)
    listener = streamed.listen()
    for event in expand(answer):
        listener.hear(event)
    assert whole.of(replayed) == streamed.of(replayed) == {"a": wrap("c", "S")}
    small.message(answer)
    small.add("z", wrap("c", "T"))
    assert small.of(replayed) == {}


def test_losses_name_what_was_not_sent() -> None:
    hub = {
        "messages": [user("go"), model({"type": "thinking", "thinking": "", "signature": "claude"}, call("a")), user(result("a"))],
        "metadata": {"user_id": "u"}, "context_management": {"edits": []}, "shiny_new_field": 1, "stop_sequences": list("abcdef"),
    }  # fmt: skip
    assert outbound(gemini, hub, G3).body["generationConfig"]["stopSequences"] == list("abcde")
    assert set(outbound(gemini, hub, G3).losses) == {
        "metadata", "context_management", "shiny_new_field", "stop_sequences (after the fifth)",
        "thinking (of another provider)", "thought_signature",
    }  # fmt: skip


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown block": ({"messages": [user({"type": "hologram"})]}, "hologram"),
    "an unknown block in a result": ({"messages": [user("x"), model(call("a")), user(result("a", [{"type": "hologram"}]))]}, "hologram"),
    "an uploaded file": ({"messages": [user({"type": "container_upload", "file_id": "f"})]}, "container_upload"),
    "a file id": ({"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]}, "file"),
    "a URL that Gemini cannot open": ({"messages": [user({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}})]}, "URL"),
    "a server tool": ({"messages": [user("x")], "tools": [{"type": "code_execution_20250522", "name": "code_execution"}]}, "code_execution_20250522"),
    "a container": ({"messages": [user("x")], "container": "c"}, "container"),
    "MCP servers": ({"messages": [user("x")], "mcp_servers": [{}]}, "mcp_servers"),
    "a forced search": ({"messages": [user("x")], "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "any"}}, "search the web"),
    "no messages": ({"messages": []}, "messages"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_gemini_cannot_take_is_refused_by_name(case: str) -> None:
    hub, word = REFUSED[case]
    with pytest.raises(BadRequest, match=word):
        outbound(gemini, hub, G3)


SETTINGS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "sampling in camelCase": ({"temperature": 0.2, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END"]}, G25,
                              {"temperature": 0.2, "topP": 0.9, "topK": 40, "stopSequences": ["END"]}),
    "thinking off on 2.5 flash": ({"thinking": {"type": "disabled"}}, G25, {"thinkingConfig": {"thinkingBudget": 0}, "maxOutputTokens": 100}),
    "thinking off on 2.5 pro is its least": ({"thinking": {"type": "disabled"}}, "gemini-2.5-pro", {"thinkingConfig": {"thinkingBudget": 128}}),
    "thinking off on 3 is minimal": ({"thinking": {"type": "disabled"}}, G3, {"thinkingConfig": {"thinkingLevel": "minimal"}}),
    "a budget on 2.5": ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, G25, {"thinkingConfig": {"thinkingBudget": 4000, "includeThoughts": True}}),
    "a budget on 3 is a level": ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, G3, {"thinkingConfig": {"thinkingLevel": "medium", "includeThoughts": True}}),
    "adaptive on 3 is high": ({"thinking": {"type": "adaptive"}}, G3, {"thinkingConfig": {"thinkingLevel": "high", "includeThoughts": True}}),
    "adaptive on 2.5 is dynamic": ({"thinking": {"type": "adaptive"}}, G25, {"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True}}),
    "omitted thoughts are not asked for": ({"thinking": {"type": "adaptive", "display": "omitted"}}, G3, {"thinkingConfig": {"thinkingLevel": "high", "includeThoughts": False}}),
    "effort low": ({"output_config": {"effort": "low"}}, G3, {"thinkingConfig": {"thinkingLevel": "low", "includeThoughts": False}}),
    "effort max": ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, G3, {"thinkingConfig": {"thinkingLevel": "high", "includeThoughts": True}}),
    "effort medium on the first 3 pro": ({"output_config": {"effort": "medium"}}, "gemini-3-pro-preview", {"thinkingConfig": {"thinkingLevel": "high", "includeThoughts": False}}),
    "a model that does not think": ({"thinking": {"type": "adaptive"}}, "gemini-2.0-flash", {"maxOutputTokens": 100}),
    "a small maximum leaves room for thoughts": ({"max_tokens": 512}, G3, {"maxOutputTokens": 8704}),
    "a large maximum is capped": ({"max_tokens": 128_000}, G3, {"maxOutputTokens": 65_535}),
    "structured output": ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string", "format": "uuid"}}}}}}, G3,
                          {"responseMimeType": "application/json",
                           "responseJsonSchema": {"type": "object", "properties": {"a": {"type": "string", "description": "(format: uuid)"}}}}),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_are_said_in_geminis_words(case: str) -> None:
    hub, to, expected = SETTINGS[case]
    config = outbound(gemini, {"messages": [user("x")], **hub}, to).body["generationConfig"]
    assert {key: config.get(key) for key in expected} == expected
    if "thinkingConfig" not in expected:
        assert "thinkingConfig" not in config
    assert not {"thinkingLevel", "thinkingBudget"} <= set(config.get("thinkingConfig", {}))


CHOICES = [
    ({"type": "auto"}, None),
    ({"type": "any"}, {"mode": "ANY"}),
    ({"type": "none"}, {"mode": "NONE"}),
    ({"type": "tool", "name": "look"}, {"mode": "ANY", "allowedFunctionNames": ["look"]}),
]


@pytest.mark.parametrize(("choice", "mode"), CHOICES)
def test_the_choice_of_tools_is_a_mode(choice: Any, mode: Any) -> None:
    body = outbound(gemini, {"messages": [user("x")], "tools": [TOOL], "tool_choice": choice}, G3).body
    assert body.get("toolConfig") == ({"functionCallingConfig": mode} if mode else None)


def test_tools_are_one_entry_of_declarations_and_a_tool_without_properties_has_no_schema() -> None:
    tools = [
        {**TOOL, "cache_control": {"type": "ephemeral"}, "strict": True},
        {"name": "now", "input_schema": {"type": "object"}},
    ]
    (entry,) = outbound(gemini, {"messages": [user("x")], "tools": tools}, G3).body["tools"]
    assert entry == {"functionDeclarations": [
        {"name": "look", "description": "Looks.", "parametersJsonSchema": TOOL["input_schema"]},
        {"name": "now", "description": ""},
    ]}  # fmt: skip


def test_long_and_odd_tool_names_travel_shortened_and_come_back_whole() -> None:
    long, odd = "mcp__" + "s" * 60, "9 lives!"
    hub = {"messages": [user("x"), model(signed("c", "S"), call("a", long)), user(result("a"))],
           "tools": [{**TOOL, "name": long}, {**TOOL, "name": odd}], "tool_choice": {"type": "tool", "name": long}}  # fmt: skip
    sent = outbound(gemini, hub, G3)
    first, second = (each["name"] for each in sent.body["tools"][0]["functionDeclarations"])
    assert len(first) <= 64
    assert second[0].isalpha()
    assert sent.reply.names == {first: long, second: odd}
    assert sent.body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [first]
    assert sent.body["contents"][1]["parts"][0]["functionCall"]["name"] == first
    assert sent.body["contents"][2]["parts"][0]["functionResponse"]["name"] == first


def names_offered(hub: dict[str, Any]) -> list[str]:
    return [each["name"] for each in outbound(gemini, hub, G3).body["tools"][0]["functionDeclarations"]]


def test_deferred_tools_are_sent_once_a_search_has_found_them() -> None:
    tools = [
        {**TOOL, "name": "ToolSearch"},
        {**TOOL, "name": "a", "defer_loading": True},
        {**TOOL, "name": "b", "defer_loading": True},
    ]
    assert names_offered({"messages": [user("x")], "tools": tools}) == ["ToolSearch"]
    found = [
        user("x"),
        model(signed("c", "S"), call("t", "ToolSearch")),
        user(result("t", [{"type": "tool_reference", "tool_name": "b"}])),
    ]
    sent = outbound(gemini, {"messages": found, "tools": tools}, G3)
    assert [each["name"] for each in sent.body["tools"][0]["functionDeclarations"]] == ["ToolSearch", "b"]
    assert sent.body["contents"][2] == says(
        "user", answered("t", {"output": "The tool b is now available."}, "ToolSearch")
    )


def test_where_anthropic_was_to_search_all_tools_are_sent() -> None:
    tools = [
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {**TOOL, "name": "a", "defer_loading": True},
    ]
    assert names_offered({"messages": [user("x")], "tools": tools}) == ["a"]


def test_tools_added_and_removed_mid_conversation_follow() -> None:
    tools = [{**TOOL, "name": "a"}, {**TOOL, "name": "b", "defer_loading": True}]

    def change(kind: str, tool: dict[str, Any]) -> dict[str, Any]:
        return {"role": "system", "content": [{"type": kind, "tool": tool}]}

    new = {"type": "tool_definition", "definition": {**TOOL, "name": "c"}}
    messages = [user("x"), change("tool_addition", {"type": "tool_reference", "name": "b"}), change("tool_addition", new),
                change("tool_removal", {"type": "tool_reference", "name": "a"})]  # fmt: skip
    assert names_offered({"messages": messages, "tools": tools}) == ["b", "c"]


def test_the_system_prompt_goes_without_anthropics_attribution() -> None:
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
    ]
    assert outbound(gemini, {"messages": [user("x")], "system": system}, G3).body["systemInstruction"] == {
        "parts": [{"text": "Be kind."}]
    }


def test_paths_say_what_is_asked() -> None:
    hub = {"messages": [user("x")], "tools": [TOOL], "system": "Be kind."}
    whole, stream = outbound(gemini, hub, G3), outbound(gemini, hub, G3, stream=True)
    assert (whole.path, dict(whole.query)) == (f"/models/{G3}:generateContent", {})
    assert (stream.path, dict(stream.query)) == (f"/models/{G3}:streamGenerateContent", {"alt": "sse"})
    count = outbound(gemini, hub, G3, count=True)
    assert count.path == f"/models/{G3}:countTokens"
    assert count.body["generateContentRequest"].keys() == {"model", "contents", "systemInstruction", "tools"}
    vertex = outbound(gemini, hub, G3, count=True, quirks=frozenset({"vertex"}))
    assert vertex.body.keys() == {"contents", "systemInstruction", "tools"}


def test_web_search_alone_is_googles() -> None:
    hub = {"messages": [user("x")], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    assert outbound(gemini, hub, G3).body["tools"] == [{"googleSearch": {}}]
    both = {**hub, "tools": [*hub["tools"], TOOL]}
    sent = outbound(gemini, both, G3)
    assert sent.losses == ("tools.web_search",)


def test_an_old_model_gets_tools_in_the_openapi_dialect() -> None:
    hub = {"messages": [user("x")], "tools": [TOOL]}
    (entry,) = outbound(gemini, hub, G25, quirks=frozenset({"legacy_schema"})).body["tools"]
    assert entry["functionDeclarations"][0]["parameters"] == {
        "type": "OBJECT",
        "properties": {"at": {"type": "STRING"}},
    }
