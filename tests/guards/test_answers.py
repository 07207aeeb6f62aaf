"""What a guard does with answers, whole and streamed, seen from the client's side."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.call import Call
from gateway.guards.rules import rules_from
from gateway.middleware.guard import GuardMiddleware
from gateway.types import App
from tests.driver import Driver
from tests.guards.apps import CARD, GITHUB, PATHS, STREAMS, Echo, anthropic, cut_text, event, read, stream

ASK = {
    "model": "m",
    "max_tokens": 9,
    "stream": True,
    "messages": [{"role": "user", "content": "hi"}],
    "contents": [],
    "input": "hi",
}
MASK = [{"scanner": "secrets", "action": "mask"}, {"scanner": "pii", "action": "mask"}]


def guarded(app: App, rules: list[Any], **options: Any) -> GuardMiddleware:
    return GuardMiddleware(app, response=rules_from(rules, phase="response"), **options)


LONG = (
    "Here is what you asked for. " * 12
    + f"The token is {GITHUB} and the card number is {CARD}, keep both. "
    + "That was all. " * 30
)


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("seed", range(6))
async def test_a_secret_split_over_chunks_is_masked_before_it_is_sent(dialect: str, seed: int) -> None:
    frames = STREAMS[dialect](*cut_text(LONG, seed=seed))
    reply = await Driver(guarded(stream(frames), MASK)).post(PATHS[dialect], ASK)
    text = read(dialect, reply.body)
    assert GITHUB not in reply.body.decode()
    assert CARD not in reply.body.decode()
    head, tail = LONG.split(GITHUB)[0], LONG.split(CARD)[1]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert "[[secrets:" in text
    assert "[[pii:" in text
    assert reply.complete


@pytest.mark.parametrize("dialect", STREAMS)
async def test_a_clean_stream_says_the_same_text_and_comes_in_pieces(dialect: str) -> None:
    text = "Nothing to see here, and a lot of it; umlauts äöü and 漢字 too. " * 40
    frames = STREAMS[dialect](*cut_text(text, seed=1))
    reply = await Driver(guarded(stream(frames), MASK)).post(PATHS[dialect], ASK)
    assert read(dialect, reply.body) == text
    assert len(reply.chunks) > 10


@pytest.mark.parametrize("dialect", STREAMS)
async def test_a_refused_stream_is_cut_with_an_error_and_the_upstream_stops(dialect: str) -> None:
    text = "All is well so far. " * 40 + f"The key is {GITHUB}. " + "More and more follows. " * 400
    pieces, went = cut_text(text, seed=2), []
    frames = STREAMS[dialect](*pieces)
    app = guarded(stream(frames, went=went), [{"scanner": "secrets", "action": "reject"}])
    reply = await Driver(app).post(PATHS[dialect], ASK)
    said = reply.body.decode()
    assert GITHUB[:12] not in said
    assert "Refused by the guard" in said.split("data: ")[-1]
    assert "stop" not in said.split("data: ")[-1].split('"message"')[0].lower()
    assert len(went) < len(frames) / 2
    assert reply.complete
    if dialect in ("anthropic", "openai-responses"):
        assert said.rsplit("event: ", 1)[1].startswith("error\n")


@pytest.mark.parametrize("step", range(1, 40, 3))
async def test_frames_may_be_cut_anywhere(step: int) -> None:
    data = b"".join(anthropic(*cut_text(LONG, seed=3)))
    pieces = [data[i : i + step * 7] for i in range(0, len(data), step * 7)]
    reply = await Driver(guarded(stream(pieces), MASK)).post("/v1/messages", ASK)
    assert GITHUB not in read("anthropic", reply.body)
    assert reply.body.decode().rstrip().endswith('"message_stop"}')


async def test_a_tools_arguments_are_guarded_as_they_are_written() -> None:
    arguments = json.dumps({"path": "a" * 300, "token": GITHUB, "rest": "b " * 200})
    reply = await Driver(guarded(stream(anthropic(*cut_text(arguments, seed=4), kind="tool")), MASK)).post(
        "/v1/messages", ASK
    )
    written = json.loads(read("anthropic", reply.body))
    assert written["token"].startswith("[[secrets:")
    assert written["rest"] == "b " * 200


async def test_a_placeholder_split_over_chunks_comes_back_as_the_value() -> None:
    app = Echo()
    guard = GuardMiddleware(app, request=rules_from([{"scanner": "secrets", "action": "mask"}]))
    ask = {**ASK, "messages": [{"role": "user", "content": f"print {GITHUB} please"}]}
    await Driver(guard).post("/v1/messages", ask)
    name = json.loads(app.asked)["messages"][0]["content"].split()[1]
    text = "Some words before it comes. " * 20 + f"Here: {name}." + " And words after." * 20
    for seed in range(5):
        guard.app = stream(anthropic(*cut_text(text, seed=seed)))
        reply = await Driver(guard).post("/v1/messages", ask)
        assert read("anthropic", reply.body) == text.replace(name, GITHUB)


async def test_a_whole_answer_is_masked_in_place_or_refused() -> None:
    answer = {
        "type": "message",
        "content": [{"type": "text", "text": f"it is {GITHUB}"}],
        "usage": {"output_tokens": 3},
    }
    masked = await Driver(guarded(Echo(answer), MASK)).post("/v1/messages", ASK)
    assert masked.json["content"][0]["text"].startswith("it is [[secrets:")
    assert masked.json["usage"] == {"output_tokens": 3}
    refused = await Driver(guarded(Echo(answer), [{"scanner": "secrets", "action": "reject"}])).post(
        "/v1/messages", ASK
    )
    assert (refused.status, refused.json["error"]["type"]) == (403, "permission_error")


async def test_row_19_an_answer_in_an_encoding_that_cannot_be_read_is_not_passed_on() -> None:
    app = Echo(b"\x1f\x8b", headers=[(b"content-encoding", b"gzip")])
    reply = await Driver(guarded(app, MASK)).post(
        "/v1/messages", ASK, headers={"accept-encoding": "gzip, br"}
    )
    assert reply.status == 502
    assert dict(app.scope["headers"])[b"accept-encoding"] == b"identity"


async def test_without_rules_for_answers_their_bytes_are_not_touched() -> None:
    frames = anthropic("a", "b")
    reply = await Driver(GuardMiddleware(stream(frames), request=rules_from(["pii"]))).post(
        "/v1/messages", ASK
    )
    assert reply.chunks == frames


async def test_upstreams_errors_pass_word_for_word() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 529,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": b'{"type": "error",  "error": {}}'})

    reply = await Driver(guarded(broken, MASK)).post("/v1/messages", ASK)
    assert (reply.status, reply.body) == (529, b'{"type": "error",  "error": {}}')


async def test_observing_passes_the_stream_and_notes_the_finding_once() -> None:
    calls: list[Call] = []
    guard = guarded(
        stream(anthropic(*cut_text(LONG, seed=5))),
        [{"scanner": "secrets", "action": "reject"}],
        enforce=False,
    )

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        calls.append(Call.of(scope))
        await guard(scope, receive, send)

    reply = await Driver(outer).post("/v1/messages", ASK)
    assert read("anthropic", reply.body) == LONG
    assert [v.action for v in calls[0].verdicts].count("would_refuse") == 1


async def test_signed_thinking_passes_as_it_is() -> None:
    frame = event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": GITHUB}},
        "content_block_delta",
    )
    reply = await Driver(guarded(stream([frame]), MASK)).post("/v1/messages", ASK)
    assert reply.body == frame


async def test_a_stream_that_cannot_be_read_is_refused_where_a_rule_could_refuse_and_noted_where_all_watch() -> (
    None
):
    async def binary(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/vnd.amazon.eventstream")],
            }
        )
        await send({"type": "http.response.body", "body": b"\x00\x00"})

    path = "/model/anthropic.claude/invoke-with-response-stream"
    assert (await Driver(guarded(binary, MASK)).post(path, ASK)).status == 502
    assert (await Driver(guarded(binary, ["pii"])).post(path, ASK)).body == b"\x00\x00"


async def test_a_tool_call_of_the_chat_wire_is_named_once_and_keeps_its_arguments() -> None:
    arguments = json.dumps({"a": "x" * 700, "token": GITHUB})
    pieces = cut_text(arguments, seed=6, most=90)

    def frame(function: dict[str, str], **more: str) -> bytes:
        call = {"index": 0, "function": function, **more}
        return event(
            {
                "choices": [
                    {"index": 0, "delta": {"content": None, "tool_calls": [call]}, "finish_reason": None}
                ]
            }
        )

    frames = [frame({"name": "send", "arguments": pieces[0]}, id="call_1", type="function"), *(frame({"arguments": p}) for p in pieces[1:]),
              event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}), b"data: [DONE]\n\n"]  # fmt: skip
    reply = await Driver(guarded(stream(frames), MASK)).post("/v1/chat/completions", ASK)
    said = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")]
    calls = [c for each in said for c in each["choices"][0]["delta"].get("tool_calls", ())]
    assert [c["id"] for c in calls if "id" in c] == ["call_1"]
    assert [c["function"]["name"] for c in calls if "name" in c["function"]] == ["send"]
    written = json.loads("".join(c["function"]["arguments"] for c in calls))
    assert written["a"] == "x" * 700
    assert written["token"].startswith("[[secrets:")
    assert said[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_two_texts_in_one_frame_do_not_mix() -> None:
    def frame(thought: str, text: str, **more: str) -> bytes:
        parts = [{"text": thought, "thought": True}, {"text": text}]
        return event({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}]})

    thoughts, texts = cut_text("thinking " * 60, seed=7), cut_text("speaking " * 60, seed=7)
    frames = [frame(a, b) for a, b in zip(thoughts[:-1], texts[:-1], strict=True)] + [
        frame(thoughts[-1], texts[-1], finishReason="STOP")
    ]
    reply = await Driver(guarded(stream(frames), MASK)).post(PATHS["gemini"], ASK)
    said = [
        json.loads(line[6:])["candidates"][0]
        for line in reply.body.decode().splitlines()
        if line.startswith("data: {")
    ]
    parts = [p for each in said for p in each["content"]["parts"]]
    assert "".join(p["text"] for p in parts if p.get("thought")) == "thinking " * 60
    assert "".join(p["text"] for p in parts if not p.get("thought")) == "speaking " * 60
    assert [each.get("finishReason") for each in said].count("STOP") == 1
    assert said[-1]["finishReason"] == "STOP"
