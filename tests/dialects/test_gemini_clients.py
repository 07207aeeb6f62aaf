"""Clients that speak Gemini (its CLI, google-genai) in front of any provider."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, carried, gemini
from gateway.llm.dialects.protocol import Model, Options, Request, Target
from gateway.llm.dialects.reduce import expand
from gateway.llm.dialects.thoughts import SKIP
from tests.dialects import grammar
from tests.dialects.driving import outbound, written


def read(body: dict[str, Any], **target: Any) -> Request:
    return gemini.read_request(body, Target(**{"model": "claude-x", **target}))


def says(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def messages(*contents: Any) -> Any:
    return read({"contents": list(contents)}).hub["messages"]


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


CLAUDES = {"type": "thinking", "thinking": "hm", "signature": "Eo4DCm4="}
CALL = {"functionCall": {"id": "c1", "name": "look", "args": {"at": "x"}}}
USE = {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "x"}}
RESULT = {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "done"}}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": [text("done")]}

CONVERSATIONS: dict[str, tuple[list[Any], list[Any]]] = {
    "text": ([says("user", "Hi")], [{"role": "user", "content": [text("Hi")]}]),
    "no role is the user's": ([{"parts": [{"text": "Hi"}]}], [{"role": "user", "content": [text("Hi")]}]),
    "one content that stands alone": ([{"parts": {"text": "Hi"}}], [{"role": "user", "content": [text("Hi")]}]),
    "an image, in snake_case and the URL alphabet": (
        [says("user", {"inline_data": {"mime_type": "image/png", "data": "_-8="}})],
        [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "/+8="}}]}],
    ),
    "a PDF": (
        [says("user", {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}})],
        [{"role": "user", "content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}]}],
    ),
    "a text file": (
        [says("user", {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}})],
        [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}}]}],
    ),
    "an address": (
        [says("user", {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}})],
        [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]}],
    ),
    "a call and its result": (
        [says("user", "go"), says("model", CALL), says("user", RESULT, "and?")],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [TOOL_RESULT, text("and?")]}],
    ),
    "results come first, as Anthropic wants them": (
        [says("user", "go"), says("model", CALL), says("user", "and?", RESULT)],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [TOOL_RESULT, text("and?")]}],
    ),
    "calls without ids find their results by name": (
        [says("user", "go"), says("model", {"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}}),
         says("function", {"functionResponse": {"name": "b", "response": {"error": "no"}}}, {"functionResponse": {"name": "a", "response": {"x": 1, "y": [2]}}})],
        [{"role": "user", "content": [text("go")]},
         {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "a", "input": {}}, {"type": "tool_use", "id": "call_1", "name": "b", "input": {}}]},
         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": [text("no")], "is_error": True},
                                      {"type": "tool_result", "tool_use_id": "call_0", "content": [text('{"x":1,"y":[2]}')]}]}],
    ),
    "a result whose call is gone": (
        [says("user", RESULT, "and?")],
        [{"role": "user", "content": [text("Result of an earlier call of look: done"), text("and?")]}],
    ),
    "a call of before does not take a later result": (
        [says("user", "go"), says("model", {"functionCall": {"name": "look"}}), says("user", "stop"), says("model", {"functionCall": {"name": "look"}}), says("user", {"functionResponse": {"name": "look", "response": {"output": "done"}}})],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "look", "input": {}}]},
         {"role": "user", "content": [text("stop")]}, {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "look", "input": {}}]},
         {"role": "user", "content": [{**TOOL_RESULT, "tool_use_id": "call_1"}]}],
    ),
    "an image inside a result": (
        [says("user", "go"), says("model", CALL), says("user", {"functionResponse": {**RESULT["functionResponse"], "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]}})],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [USE]},
         {"role": "user", "content": [{**TOOL_RESULT, "content": [text("done"), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}]}]}],
    ),
    "Gemini's own signatures, each on its part": (
        [says("user", "go"), says("model", {"text": "hm", "thought": True}, {**CALL, "thoughtSignature": "S"}), says("user", RESULT),
         says("model", {"text": "Hello", "thought_signature": "T"}), says("user", "on")],
        [{"role": "user", "content": [text("go")]},
         {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "gm1.c.S"}, USE]},
         {"role": "user", "content": [TOOL_RESULT]},
         {"role": "assistant", "content": [text("Hello"), {"type": "thinking", "thinking": "", "signature": "gm1.t5.T"}]},
         {"role": "user", "content": [text("on")]}],
    ),
    "Claude's thinking, carried by its call, back where it was": (
        [says("user", "go"), says("model", "Let me look.", {**CALL, "thoughtSignature": carried.pack([CLAUDES])}), says("user", RESULT)],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [CLAUDES, text("Let me look."), USE]},
         {"role": "user", "content": [TOOL_RESULT]}],
    ),
    "a skipped signature is none": (
        [says("user", "go"), says("model", {**CALL, "thoughtSignature": SKIP}), says("user", RESULT)],
        [{"role": "user", "content": [text("go")]}, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [TOOL_RESULT]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONVERSATIONS)
def test_conversations_are_read_into_messages(case: str) -> None:
    contents, expected = CONVERSATIONS[case]
    assert messages(*contents) == expected


def test_a_conversation_read_and_written_again_is_the_same_for_gemini() -> None:
    contents = CONVERSATIONS["Gemini's own signatures, each on its part"][0]
    sent = outbound(gemini, {"messages": messages(*contents)}, "gemini-3-flash").body["contents"]
    assert [part for each in sent for part in each["parts"]] == [
        {"text": "go"},
        {"text": "hm", "thought": True},
        {**CALL, "thoughtSignature": "S"},
        RESULT,
        {"text": "Hello", "thoughtSignature": "T"},
        {"text": "on"},
    ]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "video": ({"contents": [says("user", {"inlineData": {"mimeType": "video/mp4", "data": ""}})]}, "video/mp4"),
    "an unknown part": ({"contents": [says("user", {"hologram": {}})]}, "hologram"),
    "code execution": ({"contents": [says("user", "x")], "tools": [{"codeExecution": {}}]}, "codeExecution"),
    "cached content": ({"contents": [says("user", "x")], "cachedContent": "cachedContents/1"}, "cachedContent"),
    "several answers": ({"contents": [says("user", "x")], "generationConfig": {"candidateCount": 2}}, "candidateCount"),
    "pictures out": ({"contents": [says("user", "x")], "generationConfig": {"responseModalities": ["IMAGE"]}}, "responseModalities"),
    "no contents": ({}, "contents"),
    "a part that is no object": ({"contents": [{"parts": ["hi"]}]}, "object"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_other_provider_has_is_refused_by_name(case: str) -> None:
    body, word = REFUSED[case]
    with pytest.raises(BadRequest, match=word):
        read(body)


ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sampling": ({"generationConfig": {"maxOutputTokens": 9, "temperature": 0.1, "topP": 0.2, "topK": 3.0, "stopSequences": ["x"]}},
                 {"max_tokens": 9, "temperature": 0.1, "top_p": 0.2, "top_k": 3, "stop_sequences": ["x"]}),
    "the system": ({"system_instruction": {"parts": [{"text": "Be kind."}]}}, {"system": [text("Be kind.")]}),
    "tools as OpenAPI": (
        {"tools": [{"functionDeclarations": [{"name": "a", "description": "A.", "parameters": {
            "type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}, "l": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "1"}}, "propertyOrdering": ["n"]}}]}]},
        {"tools": [{"name": "a", "description": "A.", "input_schema": {
            "type": "object", "properties": {"n": {"type": ["integer", "null"]}, "l": {"type": "array", "items": {"type": "string"}, "minItems": 1}}}}]}),
    "tools as JSON Schema": (
        {"tools": [{"function_declarations": [{"name": "a", "parameters_json_schema": {"type": "object", "properties": {"snake_case": {}}}}]}]},
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"snake_case": {}}}}]}),
    "a tool without parameters": ({"tools": [{"functionDeclarations": [{"name": "a"}]}]}, {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {}}}]}),
    "Google's search": ({"tools": [{"googleSearch": {}}]}, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    "one tool, forced": (
        {"tools": [{"functionDeclarations": [{"name": "a"}]}], "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}}},
        {"tool_choice": {"type": "tool", "name": "a"}}),
    "any tool": ({"tools": [{"functionDeclarations": [{"name": "a"}]}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, {"tool_choice": {"type": "any"}}),
    "no tool": ({"tools": [{"functionDeclarations": [{"name": "a"}]}], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}, {"tool_choice": {"type": "none"}}),
    "thinking off": ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, {"thinking": {"type": "disabled"}}),
    "a budget, shown": ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True}}},
                        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}}),
    "a level": ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
                {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}),
    "structured output": (
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}}}}),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_settings_are_read_into_the_hub(case: str) -> None:
    body, expected = ASKED[case]
    hub = read({"contents": [says("user", "x")], **body}).hub
    assert {key: hub.get(key) for key in expected} == expected


def test_several_allowed_tools_are_the_only_ones_offered() -> None:
    tools = [{"functionDeclarations": [{"name": name} for name in "abc"]}]
    hub = read({"contents": [says("user", "x")], "tools": tools,
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "c"]}}}).hub  # fmt: skip
    assert [tool["name"] for tool in hub["tools"]] == ["a", "c"]


def test_losses_name_what_the_hub_has_no_word_for() -> None:
    request = read(
        {"contents": [says("user", "x")], "safetySettings": [], "labels": {}, "generationConfig": {"seed": 1}}
    )
    assert set(request.losses) == {"safetySettings", "labels", "generationConfig.seed"}


def test_counting_reads_both_shapes() -> None:
    inner = {"contents": [says("user", "x")]}
    assert (
        read(inner, count=True).hub["messages"]
        == read({"generateContentRequest": {"model": "models/m", **inner}}, count=True).hub["messages"]
    )
    assert gemini.write_count(31) == {"totalTokens": 31}


MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use", "stop_sequence": None,
    "content": [CLAUDES, text("Let me look."), USE, {**USE, "id": "c2"}],
    "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2},
}  # fmt: skip
FIGURES = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 7,
    "totalTokenCount": 17,
    "cachedContentTokenCount": 3,
}


def test_an_answer_is_written_whole() -> None:
    assert gemini.write_answer(MESSAGE, Request({}, model="claude-x")) == {
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"text": "Let me look."},
            {**CALL, "thoughtSignature": carried.pack([CLAUDES])},
            {"functionCall": {**CALL["functionCall"], "id": "c2"}},
        ]}}],
        "usageMetadata": FIGURES, "modelVersion": "claude-x", "responseId": "msg_1",
    }  # fmt: skip


def parts_of(chunks: list[dict[str, Any]]) -> list[Any]:
    return [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]


def test_a_stream_holds_the_same_parts_as_the_whole_answer_and_the_figures_last() -> None:
    chunks = grammar.gemini(written(gemini, expand(MESSAGE)), whole=True)
    whole = gemini.write_answer(MESSAGE, Request({}, model="claude-x"))
    assert parts_of(chunks)[:-1] == whole["candidates"][0]["content"]["parts"]
    assert chunks[-1]["usageMetadata"] == FIGURES


def test_thoughts_are_shown_to_those_who_ask() -> None:
    chunks = grammar.gemini(written(gemini, expand(MESSAGE), wire={"thoughts": True}), whole=True)
    assert parts_of(chunks)[0] == {"text": "hm", "thought": True}


@pytest.mark.parametrize(("reason", "finish"), [
    ("end_turn", "STOP"), ("stop_sequence", "STOP"), ("max_tokens", "MAX_TOKENS"), ("refusal", "SAFETY"),
    ("model_context_window_exceeded", "MAX_TOKENS"), ("pause_turn", "STOP"),
])  # fmt: skip
def test_stop_reasons_are_googles(reason: str, finish: str) -> None:
    message = {**MESSAGE, "content": [], "stop_reason": reason}
    assert (
        grammar.gemini(written(gemini, expand(message)), whole=True)[-1]["candidates"][0]["finishReason"]
        == finish
    )
    assert gemini.write_answer(message, Request({}))["candidates"][0]["finishReason"] == finish


def test_an_error_in_a_stream_is_googles_error_object() -> None:
    events = [
        *list(expand(MESSAGE))[:4],
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}},
    ]
    assert grammar.gemini(written(gemini, events), whole=False)[-1] == {
        "error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}
    }


def test_a_ping_is_a_chunk_that_says_nothing() -> None:
    writer = gemini.writer(Request({}))
    stream = writer.ping() + b"".join(writer.write(event) for event in expand(MESSAGE))
    grammar.gemini(stream, whole=True)


@pytest.mark.parametrize("fails", [False, True])
def test_without_alt_sse_the_stream_is_an_array(fails: bool) -> None:
    events = list(expand(MESSAGE))
    if fails:
        events = [*events[:4], {"type": "error", "error": {"type": "api_error", "message": "Oh."}}]
    chunks = orjson.loads(written(gemini, events, wire={"sse": False}))
    assert ("error" in chunks[-1]) is fails


def test_claude_gets_back_what_it_thought_through_a_gemini_client() -> None:
    replayed = [says("user", "go"), {"role": "model", "parts": parts_of(grammar.gemini(written(gemini, expand(MESSAGE))))[:-1]},
                says("user", RESULT, {"functionResponse": {"id": "c2", "name": "look", "response": {"output": "done"}}})]  # fmt: skip
    hub = read({"contents": replayed}).hub
    sent = outbound(anthropic, hub, "claude-x").body["messages"]
    assert sent[1]["content"] == MESSAGE["content"]


def test_towards_gemini_itself_another_providers_thinking_is_taken_out_and_all_else_stays() -> None:
    part = {**CALL, "thoughtSignature": carried.pack([CLAUDES])}
    body = orjson.dumps(
        {"contents": [says("user", "go"), says("model", part), says("user", RESULT)], "unknown": {"x": 1}}
    )
    sent = orjson.loads(gemini.forward(body, Options(model="gemini-3-flash")))
    assert sent == {
        "contents": [
            says("user", "go"),
            says("model", {**CALL, "thoughtSignature": SKIP}),
            says("user", RESULT),
        ],
        "unknown": {"x": 1},
    }


def test_counting_at_gemini_itself_takes_it_out_too() -> None:
    asked = {"contents": [says("model", {**CALL, "thought_signature": carried.pack([CLAUDES])})]}
    sent = gemini.forward(orjson.dumps({"generateContentRequest": asked}), Options(model="gemini-3-flash"))
    (part,) = orjson.loads(sent)["generateContentRequest"]["contents"][0]["parts"]
    assert part == {**CALL, "thought_signature": SKIP}


def test_models_are_listed_in_googles_shape() -> None:
    assert gemini.write_models([Model("m", "The M", output_limit=5)]) == {"models": [
        {"name": "models/m", "version": "001", "displayName": "The M", "outputTokenLimit": 5,
         "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"]},
    ]}  # fmt: skip
