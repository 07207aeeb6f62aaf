"""Gemini's answers and streams, specified from the wire's facts, as messages and events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.llm.dialects import gemini
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.gemini.figures import metadata_of
from gateway.llm.dialects.gemini.figures import usage_of as figures
from gateway.llm.dialects.protocol import Options
from gateway.llm.dialects.reduce import reduce
from gateway.metering.usage import Usage
from tests.dialects.driving import feed, message_of, reply, splits, sse

USAGE = {
    "promptTokenCount": 29,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 202,
    "totalTokenCount": 241,
}


def chunk(*parts: Any, finish: str | None = None, usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "index": 0,
        "content": {"role": "model", "parts": [{"text": p} if isinstance(p, str) else p for p in parts]},
    }
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [{**candidate, **more}],
        "usageMetadata": usage,
        "modelVersion": "gemini-3-flash-preview",
        "responseId": "r1",
    }


def call(name: str = "look", signature: str | None = None, **args: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args}}
    return {**part, "thoughtSignature": signature} if signature else part


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def thinking(value: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": value, "signature": signature}


def use(number: int, name: str = "look", **args: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": args}


ANSWERS: dict[str, tuple[list[Any], list[Any], str]] = {
    "plain text": ([chunk("Hel"), chunk("lo", finish="STOP")], [text("Hello")], "end_turn"),
    "an empty reply": ([chunk(finish="STOP")], [], "end_turn"),
    "chunks without candidates or content": (
        [{"usageMetadata": USAGE}, chunk("a"), {"candidates": [{"index": 0}]}, {"candidates": []}, chunk("b", finish="STOP")],
        [text("ab")], "end_turn",
    ),
    "usage after the finish": ([chunk("a", finish="STOP", usage={}), {"usageMetadata": USAGE}], [text("a")], "end_turn"),
    "thoughts, then text": (
        [chunk({"text": "hm", "thought": True}), chunk({"text": "m", "thought": True}), chunk("ok", finish="STOP")],
        [thinking("hmm", ""), text("ok")], "end_turn",
    ),
    "a thought signed by itself": ([chunk({"text": "hm", "thought": True, "thoughtSignature": "U2ln"}, "ok", finish="STOP")],
                                   [thinking("hm", "gm1.h.U2ln"), text("ok")], "end_turn"),
    "a signed call": ([chunk(call(signature="U2ln", at="x")), chunk("", finish="STOP")], [thinking("", "gm1.c.U2ln"), use(1, at="x")], "tool_use"),
    "a thought and the call that its signature is on": (
        [chunk({"text": "hm", "thought": True}), chunk(call(signature="U2ln"), finish="STOP")],
        [thinking("hm", "gm1.c.U2ln"), use(1)], "tool_use",
    ),
    "three parallel calls, of which the first is signed": (
        [chunk(call(signature="U2ln", n=1), call(n=2)), chunk(call(n=3)), chunk("", finish="STOP")],
        [thinking("", "gm1.c.U2ln"), use(1, n=1), use(2, n=2), use(3, n=3)], "tool_use",
    ),
    "a call in an earlier chunk makes STOP tool_use": ([chunk(call(signature="U2ln")), chunk("said after", finish="STOP")],
                                                       [thinking("", "gm1.c.U2ln"), use(1), text("said after")], "tool_use"),
    "a call without arguments": ([chunk({"functionCall": {"name": "now"}}, finish="STOP")], [use(1, "now")], "tool_use"),
    "a signed text": ([chunk("Hello"), chunk({"text": " world", "thoughtSignature": "U2ln"}, finish="STOP")],
                      [text("Hello world"), thinking("", "gm1.t6.U2ln")], "end_turn"),
    "a signature on an empty last part": ([chunk("Hello"), chunk({"text": "", "thoughtSignature": "U2ln"}, finish="STOP")],
                                          [text("Hello"), thinking("", "gm1.t0.U2ln")], "end_turn"),
    "20 KB of arguments": ([chunk(call(body="ü" * 20_000), finish="STOP")], [use(1, body="ü" * 20_000)], "tool_use"),
    "the maximum inside a batch outranks the calls": ([chunk(call(n=1)), chunk(finish="MAX_TOKENS")], [use(1, n=1)], "max_tokens"),
    "a refusal before any text": ([{"candidates": [{"finishReason": "SAFETY", "content": {}}], "usageMetadata": USAGE}], [], "refusal"),
    "a refusal after text": ([chunk("I will"), chunk(finish="PROHIBITED_CONTENT")], [text("I will")], "refusal"),
    "a refusal after a call": ([chunk(call()), chunk(finish="SPII")], [use(1)], "refusal"),
    "a refused prompt": ([{"promptFeedback": {"blockReason": "MODEL_ARMOR"}, "usageMetadata": {"trafficType": "ON_DEMAND"}}], [], "refusal"),
    "a finish reason that is new": ([chunk("a", finish="TIRED_OF_THIS")], [text("a")], "refusal"),
    "a web search": (
        [chunk("It rains.", finish="STOP", groundingMetadata={"groundingChunks": [{"web": {"uri": "https://w", "title": "Weather"}}]})],
        [text("It rains.\n\nSources:\n- [Weather](https://w)")], "end_turn",
    ),
    "code that Google ran": (
        [chunk({"executableCode": {"language": "PYTHON", "code": "print(1)"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, finish="STOP")],
        [text("```python\nprint(1)\n```\n```\n1\n```\n")], "end_turn",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_streams_become_messages(case: str) -> None:
    chunks, content, reason = ANSWERS[case]
    message = message_of(gemini, sse(*chunks))
    assert message["content"] == content
    assert message["stop_reason"] == reason
    assert message["model"] in ("gemini-3-flash-preview", "the-model")


@pytest.mark.parametrize("case", [case for case in ANSWERS if len(ANSWERS[case][0]) == 1])
def test_a_whole_answer_is_the_same_message_as_its_stream(case: str) -> None:
    (body,), content, reason = ANSWERS[case]
    message = gemini.read_answer(body, reply())
    assert (message["content"], message["stop_reason"]) == (content, reason)


def test_every_cut_of_the_bytes_tells_the_same() -> None:
    stream = sse(
        chunk({"text": "Grüße 🙂 ", "thought": True}),
        chunk(call(signature="Sig", city="Zürich\u2028"), call(n=2)),
        chunk({"text": "né", "thoughtSignature": "T"}),
        chunk("", finish="STOP"),
    )
    expected = feed(gemini.reader(reply()), [stream])
    for pieces in splits(stream):
        assert feed(gemini.reader(reply()), pieces) == expected


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_a_last_frame_without_its_blank_line_counts(end: bytes) -> None:
    stream = sse(chunk("a"), chunk("b", finish="STOP"), end=end)
    assert message_of(gemini, stream.removesuffix(end))["content"] == [text("ab")]


FAILURES: dict[str, tuple[bytes, tuple[str, str], bool]] = {
    "an error as the first chunk": (sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
                                    ("overloaded_error", "The model is overloaded."), False),
    "an error between blocks": (sse(chunk(call(signature="U2ln")), {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}),
                                ("rate_limit_error", "Slow down."), False),
    "an error inside a text": (sse(chunk("a"), {"error": {"code": 500, "message": "Oh.", "status": "INTERNAL"}}), ("api_error", "Oh."), False),
    "a cut": (sse(chunk("a")), ("api_error", "before it was complete"), True),
    "a cut inside a frame": (sse(chunk("a")) + b'data: {"candid', ("api_error", "before it was complete"), True),
    "nothing at all": (b"", ("api_error", "before it was complete"), True),
    "garbage": (sse(chunk("a")) + b"data: <html>\r\n\r\n", ("api_error", "not JSON"), False),
    "a malformed call": (sse(chunk(finish="MALFORMED_FUNCTION_CALL")), ("api_error", "MALFORMED_FUNCTION_CALL"), True),
    "a call of an undeclared function": (sse(chunk(call("list_files"), finish="UNEXPECTED_TOOL_CALL", finishMessage="no such function")),
                                         ("api_error", "no such function"), True),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_failures_end_in_an_error_and_never_in_end_turn(case: str) -> None:
    stream, (kind, words), retry = FAILURES[case]
    events = feed(gemini.reader(reply()), [stream])
    last = events[-1]
    assert last["type"] == "error"
    assert last["error"]["type"] == kind
    assert re.search(words, last["error"]["message"])
    assert bool(last.get("retry")) is retry


def test_a_malformed_call_sends_nothing_before_so_that_a_retry_stays_possible() -> None:
    events = feed(gemini.reader(reply()), [sse(chunk(), chunk(call("x"), finish="MALFORMED_FUNCTION_CALL"))])
    assert [event["type"] for event in events] == ["error"]


def test_a_whole_answer_that_is_malformed_says_that_it_may_be_asked_again() -> None:
    with pytest.raises(AnswerFailed) as failed:
        gemini.read_answer(chunk(finish="MALFORMED_FUNCTION_CALL"), reply())
    assert failed.value.retry


def test_without_parallel_calls_only_the_first_is_delivered() -> None:
    message = message_of(gemini, sse(chunk(call(n=1), call(n=2)), chunk("", finish="STOP")), one_call=True)
    assert message["content"] == [use(1, n=1)]


def test_tool_names_come_back_as_the_client_knows_them() -> None:
    message = message_of(gemini, sse(chunk(call("short"), finish="STOP")), names={"short": "long" * 20})
    assert message["content"][0]["name"] == "long" * 20


def test_googles_own_call_ids_are_kept_where_every_client_takes_them() -> None:
    body = chunk(
        {"functionCall": {"name": "a", "id": "96c1su3s"}},
        {"functionCall": {"name": "b", "id": "b:0"}},
        finish="STOP",
    )
    assert [block["id"] for block in message_of(gemini, sse(body))["content"]] == ["96c1su3s", "toolu_1"]


FIGURES: list[tuple[dict[str, int], Usage]] = [
    (USAGE, Usage(input=29, output=212, reasoning=202)),
    ({"promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 5, "totalTokenCount": 105}, Usage(input=20, output=5, cache_read=80)),
    ({"promptTokenCount": 10, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 22}, Usage(input=17, output=5)),
    ({"promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 40, "totalTokenCount": 60}, Usage(input=10, output=50, reasoning=40)),
    ({"promptTokenCount": 10, "thoughtsTokenCount": 40, "totalTokenCount": 50}, Usage(input=10, output=40, reasoning=40)),
    ({"promptTokenCount": 10, "cachedContentTokenCount": 30, "candidatesTokenCount": 1}, Usage(input=0, output=1, cache_read=30)),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "usage"), FIGURES)
def test_figures_are_brought_to_one_arithmetic(metadata: dict[str, int], usage: Usage) -> None:
    assert figures(metadata) == usage
    if usage.cache_read <= metadata["promptTokenCount"]:
        assert figures(metadata_of(usage)) == usage


def test_the_last_figures_are_billed() -> None:
    early = {**USAGE, "candidatesTokenCount": 2, "totalTokenCount": 233}
    message = message_of(gemini, sse(chunk("a", usage=early), chunk("b", finish="STOP")))
    assert message["usage"]["output_tokens"] == 212
    assert message["usage"]["reasoning_tokens"] == 202


def test_missing_figures_are_estimated_and_say_so() -> None:
    message = message_of(gemini, sse(chunk("a" * 40, finish="STOP", usage=None)), prompt_estimate=7)
    assert message["usage"]["estimated"] is True
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (7, 10)


ERRORS: dict[str, tuple[int, dict[str, str], bytes, tuple[int, str, float | None]]] = {
    "quota, with a delay": (429, {}, b'{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}]}}', (429, "rate_limit_error", 37.5)),
    "a header beats the body": (429, {"retry-after": "3"}, b'{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}', (429, "rate_limit_error", 3.0)),
    "overloaded": (503, {}, b'{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}', (529, "overloaded_error", None)),
    "too slow": (504, {}, b'{"error":{"code":504,"message":"Deadline","status":"DEADLINE_EXCEEDED"}}', (504, "timeout_error", None)),
    "a bad key, which Google calls 400": (400, {}, b'{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}', (401, "authentication_error", None)),
    "an array, as streams without SSE answer": (404, {}, b'[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]', (404, "not_found_error", None)),
    "not JSON": (502, {}, b"<html>Bad gateway</html>", (500, "api_error", None)),
    "empty": (403, {}, b"", (403, "permission_error", None)),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_said_in_anthropics_terms(case: str) -> None:
    status, headers, body, expected = ERRORS[case]
    info = gemini.read_error(status, headers, body)
    assert (info.status, info.type, info.retry_after) == expected
    assert info.message


def test_a_prompt_that_is_too_long_carries_the_hint_that_makes_claude_code_compact() -> None:
    body = b'{"error":{"code":400,"message":"The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}'
    assert "capability_rejected: prompt_too_long" in gemini.read_error(400, {}, body).message


def test_counting_reads_the_total() -> None:
    assert gemini.read_count({"totalTokens": 31, "promptTokensDetails": []}) == 31


def test_a_watcher_sees_figures_and_the_end_without_touching_bytes() -> None:
    stream = sse(chunk(call(signature="U2ln")), chunk("x", finish="STOP"))
    for pieces in splits(stream):
        watcher = gemini.watcher()
        for piece in pieces:
            watcher.feed(piece)
        assert (watcher.usage, watcher.stop_reason, watcher.finished) == (figures(USAGE), "tool_use", True)
    cut = gemini.watcher()
    cut.feed(sse(chunk("a")))
    assert (cut.finished, cut.usage) == (False, figures(USAGE))
    broken = gemini.watcher()
    broken.feed(sse(chunk("a"), {"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}}))
    assert broken.error is not None
    assert broken.error.type == "overloaded_error"


def test_a_whole_answer_that_passes_is_metered_from_its_bytes() -> None:
    assert gemini.usage_of(
        b'{"candidates":[],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}'
    ) == Usage(input=3, output=4)
    assert gemini.usage_of(b"<html>") is None


def test_a_body_that_passes_is_the_same_object() -> None:
    body = b'{"contents": [{"parts": [{"text": "hi"}]}]}'
    assert gemini.forward(body, Options(model="gemini-3-flash")) is body


def test_the_reducer_gives_what_the_events_tell() -> None:
    events = feed(gemini.reader(reply()), [sse(chunk("a", finish="STOP"))])
    assert reduce(events)["id"] == "msg_r1"
