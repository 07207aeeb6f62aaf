"""What Anthropic's servers leave in a conversation, as text; and upstream errors in Anthropic's terms."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.llm.dialects import failures, served
from gateway.llm.dialects.protocol import ErrorInfo
from gateway.llm.dialects.reduce import Reducer, expand, reduce

BLOCKS: dict[str, tuple[dict[str, Any], str | None]] = {
    "a server's call": ({"type": "server_tool_use", "name": "bash_code_execution", "input": {"command": "ls"}}, '(Called bash_code_execution with {"command":"ls"}.)'),
    "an MCP call": ({"type": "mcp_tool_use", "name": "ask", "server_name": "wiki", "input": {}}, "(Called ask with {}.)"),
    "an MCP result": ({"type": "mcp_tool_result", "content": [{"type": "text", "text": "an answer"}]}, "an answer"),
    "a web search": ({"type": "web_search_tool_result", "content": [{"type": "web_search_result", "title": "T", "url": "https://t", "encrypted_content": "x"}]}, "- T https://t"),
    "a web search that failed": ({"type": "web_search_tool_result", "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}}, "(It failed: max_uses_exceeded.)"),
    "a fetched page": (
        {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "url": "https://p", "content": {"type": "document", "source": {"type": "text", "data": "words"}}}},
        "https://p\nwords"),
    "a code run": ({"type": "bash_code_execution_tool_result", "content": {"stdout": "out", "stderr": "err", "return_code": 1}}, "out\nerr"),
    "a code run that said nothing": ({"type": "code_execution_tool_result", "content": {"return_code": 0, "encrypted_stdout": "x"}}, '{"return_code":0}'),
    "an adviser": ({"type": "advisor_tool_result", "content": {"type": "advisor_result", "text": "Do it."}}, "Do it."),
    "found tools": ({"type": "tool_search_tool_result", "content": {"type": "tool_search_tool_search_result", "tool_references": [{"type": "tool_reference", "tool_name": "a"}]}}, "Tools found: a"),
    "a compaction": ({"type": "compaction", "content": "So far."}, "So far."),
    "a failed compaction": ({"type": "compaction", "content": None}, ""),
    "a fallback's mark": ({"type": "fallback", "from": {}, "to": {}}, ""),
    "an added tool": ({"type": "tool_addition", "tool": {"type": "tool_reference", "name": "a"}}, "The tool a is now available."),
    "a tool defined inline": ({"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "b"}}}, "The tool b is now available."),
    "a removed tool": ({"type": "tool_removal", "tool": {"type": "tool_reference", "name": "a"}}, "The tool a is no longer available."),
    "anything else": ({"type": "container_upload"}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", BLOCKS)
def test_what_a_server_did_is_told_in_words(case: str) -> None:
    block, text = BLOCKS[case]
    assert served.text_of(block) == text


STATUSES = [
    (400, 400, "invalid_request_error"), (422, 400, "invalid_request_error"), (401, 401, "authentication_error"),
    (402, 402, "billing_error"), (403, 403, "permission_error"), (404, 404, "not_found_error"), (408, 504, "timeout_error"),
    (413, 413, "request_too_large"), (418, 418, "invalid_request_error"), (429, 429, "rate_limit_error"), (500, 500, "api_error"),
    (502, 500, "api_error"), (503, 529, "overloaded_error"), (504, 504, "timeout_error"), (529, 529, "overloaded_error"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "shown", "kind"), STATUSES)
def test_statuses_have_one_meaning(status: int, shown: int, kind: str) -> None:
    info = failures.classify(status, "")
    assert (info.status, info.type) == (shown, kind)
    assert info.message
    assert failures.of_event(failures.event(info)) == info


def test_an_error_event_without_a_status_gets_its_types() -> None:
    assert failures.of_event(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    ) == ErrorInfo(529, "overloaded_error", "Busy")
    assert failures.of_event({}).status == 500


WAITS = [
    ({"retry-after": "7"}, 7.0), ({"retry-after": "1.5"}, 1.5), ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
    ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0), ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
    ({"retry-after": "soon"}, None), ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_a_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert failures.retry_after(headers, now=10.0) == seconds


@pytest.mark.parametrize("words", [
    "prompt is too long: 200001 tokens > 200000 maximum", "This model's maximum context length is 128000 tokens.",
    "Your input exceeds the context window of this model.", "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    "Input is too long for requested model.",
])  # fmt: skip
def test_every_way_to_say_too_long_carries_the_hint(words: str) -> None:
    assert failures.TOO_LONG in failures.classify(400, words).message
    assert failures.TOO_LONG not in failures.classify(429, words).message
    assert failures.TOO_LONG not in failures.classify(400, "temperature: too high").message


def test_citations_and_compactions_are_reduced_and_expanded() -> None:
    content = [{"type": "text", "text": "It rains.", "citations": [{"type": "web_search_result_location", "url": "https://w"}]},
               {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}]  # fmt: skip
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn",
               "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    assert reduce(expand(message)) == message
    reducer = Reducer()
    reducer.add({"type": "message_start", "message": message})
    reducer.add(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", "content": None}}
    )
    reducer.add(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "compaction_delta", "content": "So far."},
        }
    )
    assert reducer.message["content"] == [{"type": "compaction", "content": "So far."}]
