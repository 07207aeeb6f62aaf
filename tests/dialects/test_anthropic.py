"""Anthropic's Messages, on either side: what passes untouched, and what has to change."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Model, Options, Request, Target
from gateway.llm.dialects.reduce import expand
from gateway.metering.usage import Usage
from tests.dialects import grammar
from tests.dialects.driving import feed, message_of, named, outbound, reply, splits, written
from tests.dialects.specified_anthropic import EVERYTHING, START, STOP, closed, delta, opened, told

STREAM = EVERYTHING
USAGE = Usage(input=61, output=15, cache_read=9, cache_write=10, cache_write_1h=20)


def test_a_stream_is_read_as_it_is_and_written_byte_for_byte() -> None:
    events = feed(anthropic.reader(reply()), [STREAM])
    assert written(anthropic, events) == STREAM
    assert grammar.anthropic(STREAM, whole=True) == events


def test_letters_at_which_line_decoders_cut_are_escaped_for_clients() -> None:
    text = delta(0, type="text_delta", text="a\u2028b\u2029c\x85d")
    opening = [START, opened(0, type="text", text=""), text]
    assert b"a\\u2028b\\u2029c\\u0085d" in written(anthropic, opening)
    assert feed(anthropic.reader(reply()), [named(START, opened(0, type="text", text=""), text)])[2] == text


def test_every_cut_of_the_bytes_tells_the_same() -> None:
    expected = feed(anthropic.reader(reply()), [STREAM])
    for pieces in splits(STREAM):
        assert feed(anthropic.reader(reply()), pieces) == expected


def test_the_reducer_makes_the_message_of_it() -> None:
    message = message_of(anthropic, STREAM)
    assert message["content"] == [
        {"type": "thinking", "thinking": "Grüße 🙂", "signature": "Sig"},
        {"type": "text", "text": 'He said "usage".'},
        {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {"at": "x"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {**START["message"]["usage"], "input_tokens": 61, "output_tokens": 15}


def test_a_watcher_bills_the_last_figures_whatever_the_cuts() -> None:
    for pieces in splits(STREAM):
        watcher = anthropic.watcher()
        for piece in pieces:
            watcher.feed(piece)
        assert (watcher.usage, watcher.stop_reason, watcher.finished, watcher.error) == (
            USAGE,
            "tool_use",
            True,
            None,
        )


def test_a_watcher_of_a_cut_stream_knows_what_was_consumed_so_far() -> None:
    watcher = anthropic.watcher()
    watcher.feed(STREAM[: STREAM.index(b"event: message_delta")])
    assert watcher.finished is False
    assert watcher.usage == Usage(input=43, output=1, cache_read=9, cache_write=10, cache_write_1h=20)


def test_a_watcher_sees_an_error() -> None:
    watcher = anthropic.watcher()
    watcher.feed(named(START, {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}))
    assert watcher.error is not None
    assert (watcher.error.status, watcher.error.type) == (529, "overloaded_error")


def test_a_whole_answer_that_passes_is_metered_from_its_bytes() -> None:
    body = orjson.dumps(
        {
            "type": "message",
            "content": [],
            "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": None},
        }
    )
    assert anthropic.usage_of(body) == Usage(input=3, output=4)
    assert anthropic.usage_of(b"<html>") is None


def test_what_anthropics_servers_did_on_the_side_is_billed_too() -> None:
    """Compaction and the advisor are not in the top-level figures; message iterations are."""
    aside = [{"type": "message", "input_tokens": 1128, "output_tokens": 135}, {"type": "message", "input_tokens": 1283, "output_tokens": 10},
             {"type": "advisor_message", "input_tokens": 2543, "output_tokens": 18}, {"type": "compaction", "input_tokens": 100, "output_tokens": 7}]  # fmt: skip
    usage = {"input_tokens": 2411, "output_tokens": 145, "iterations": aside}
    assert anthropic.usage_of(orjson.dumps({"usage": usage})) == Usage(
        input=2411 + 2543 + 100, output=145 + 18 + 7
    )
    watcher = anthropic.watcher()
    watcher.feed(named(START, {**told("end_turn"), "usage": usage}, STOP))
    assert watcher.usage is not None
    assert (watcher.usage.input, watcher.usage.output) == (5054, 170)


CUTS: dict[str, bytes] = {
    "nothing": b"",
    "before any block": named(START),
    "inside a block": STREAM[: STREAM.index(b"event: content_block_stop")],
    "inside a frame": STREAM[: STREAM.index(b"event: content_block_stop") + 30],
    "before the stop": STREAM[: STREAM.index(b"event: message_stop")],
    "garbage": named(START) + b"data: <html>\n\n",
}


@pytest.mark.parametrize("case", CUTS)
def test_a_cut_stream_ends_in_an_error(case: str) -> None:
    events = feed(anthropic.reader(reply()), [CUTS[case]])
    assert events[-1]["type"] == "error"
    grammar.anthropic(written(anthropic, events), whole=False)


def test_an_upstreams_error_event_ends_the_stream_and_nothing_follows() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    events = feed(anthropic.reader(reply()), [named(START, error, STOP)])
    assert events == [START, error]


def test_events_of_unknown_types_pass() -> None:
    stream = named(START, {"type": "weather", "sunny": True}, told("end_turn", output_tokens=1), STOP)
    reader, writer = anthropic.reader(reply()), anthropic.writer(Request({}))
    events = [*reader.feed(stream), *reader.end()]
    assert b"".join(writer.write(event) for event in events) == stream


def test_the_gateways_own_notes_do_not_reach_a_client() -> None:
    usage = {"input_tokens": 1, "output_tokens": 9, "estimated": True, "reasoning_tokens": 4}
    shown = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    message = {**START["message"], "stop_reason": "end_turn", "usage": usage}
    assert anthropic.write_answer(message, Request({}))["usage"] == shown
    events = grammar.anthropic(written(anthropic, expand(message)), whole=True)
    assert events[-2]["usage"] == shown
    failed = {"type": "error", "error": {"type": "api_error", "message": "Oh."}, "retry": True, "status": 500}
    assert grammar.anthropic(written(anthropic, [failed])) == [{"type": "error", "error": failed["error"]}]


def test_a_ping_is_anthropics() -> None:
    assert grammar.anthropic(anthropic.writer(Request({})).ping()) == [{"type": "ping"}]


def test_a_request_is_the_hub_itself() -> None:
    body = {"model": "claude-x", "messages": [{"role": "user", "content": "Hi"}], "stream": True, "shiny": 1}
    request = anthropic.read_request(body, Target())
    assert request.hub is body
    assert (request.model, request.stream, request.losses) == ("claude-x", True, [])
    for wrong in (
        {"model": "m"},
        {"messages": []},
        {"model": 3, "messages": []},
        {"model": "m", "messages": "hi"},
    ):
        with pytest.raises(BadRequest):
            anthropic.read_request(wrong, Target())


HI = {"role": "user", "content": "Hi"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "Eo4D"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]}


def test_a_request_from_another_dialect_gets_what_anthropic_wants() -> None:
    sent = outbound(anthropic, {"messages": [HI], "max_tokens": None}, "claude-x", max_output=777, stream=True,
                    headers={"anthropic-beta": "b1", "anthropic-version": "2023-06-01", "cookie": "x"})  # fmt: skip
    assert sent.path == "/v1/messages"
    assert sent.body == {"model": "claude-x", "messages": [HI], "max_tokens": 777, "stream": True}
    assert sent.headers == {
        "anthropic-beta": "b1",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }


def test_counting_sends_only_what_is_counted() -> None:
    sent = outbound(anthropic, {"messages": [HI], "temperature": 1, "tools": []}, "claude-x", count=True)
    assert sent.path == "/v1/messages/count_tokens"
    assert sent.body.keys() == {"model", "messages", "tools"}
    assert anthropic.read_count({"input_tokens": 12}) == 12
    assert anthropic.write_count(12) == {"input_tokens": 12}


@pytest.mark.parametrize("foreign", [
    {"type": "thinking", "thinking": "x", "signature": "gm1.c.S"}, {"type": "redacted_thinking", "data": "oa1.S"},
    {"type": "thinking", "thinking": "unsigned", "signature": ""},
])  # fmt: skip
def test_thinking_of_other_providers_is_stripped_and_claudes_stays(foreign: dict[str, Any]) -> None:
    messages = [
        HI,
        {"role": "assistant", "content": [foreign, THOUGHT, USE]},
        RESULT,
        {"role": "assistant", "content": [foreign]},
        HI,
    ]
    sent = outbound(anthropic, {"messages": messages}, "claude-x").body["messages"]
    assert sent == [HI, {"role": "assistant", "content": [THOUGHT, USE]}, RESULT, HI]


THINKING: dict[str, tuple[dict[str, Any], frozenset[str], dict[str, Any]]] = {
    "a small budget grows to the least": ({"thinking": {"type": "enabled", "budget_tokens": 10}, "max_tokens": 5000}, frozenset(),
                                          {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 5000}),
    "a maximum below the budget grows": ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 100}, frozenset(),
                                         {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2100}),
    "no temperature beside thinking": ({"thinking": {"type": "adaptive"}, "temperature": 0.2}, frozenset(), {"thinking": {"type": "adaptive"}, "temperature": None}),
    "no thinking beside a forced tool": ({"thinking": {"type": "adaptive"}, "tool_choice": {"type": "any"}}, frozenset(), {"thinking": None}),
    "an older model": ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "max_tokens": 9000}, frozenset({"no_adaptive"}),
                       {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    "a newer model": ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, frozenset({"adaptive_only"}), {"thinking": {"type": "adaptive"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", THINKING)
def test_combinations_that_anthropic_refuses_are_settled(case: str) -> None:
    hub, quirks, expected = THINKING[case]
    body = outbound(anthropic, {"messages": [HI], **hub}, "claude-x", quirks=quirks).body
    assert {key: body.get(key) for key in expected} == expected


def test_a_turn_whose_thinking_another_provider_did_goes_on_without_a_budget() -> None:
    hub = {"messages": [HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "gm1.c.S"}, USE]}, RESULT],
           "thinking": {"type": "enabled", "budget_tokens": 2000}}  # fmt: skip
    sent = outbound(anthropic, hub, "claude-x")
    assert "thinking" not in sent.body
    assert "thinking" in sent.losses


def test_names_and_ids_that_anthropic_refuses_are_made_to_fit() -> None:
    hub = {"messages": [HI, {"role": "assistant", "content": [{**USE, "id": "functions.look:0", "name": "my.tool"}]},
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.look:0", "content": "x"}]}],
           "tools": [{"name": "my.tool", "input_schema": {"type": "object"}}]}  # fmt: skip
    sent = outbound(anthropic, hub, "claude-x")
    (name,) = sent.reply.names
    assert sent.body["tools"][0]["name"] == name
    assert sent.body["messages"][1]["content"][0] == {**USE, "id": "functions_look_0", "name": name}
    assert sent.body["messages"][2]["content"][0]["tool_use_id"] == "functions_look_0"
    stream = named(
        START,
        opened(0, **{**USE, "name": name}),
        delta(0, type="input_json_delta", partial_json="{}"),
        closed(0),
        told("tool_use", output_tokens=1),
        STOP,
    )
    assert message_of(anthropic, stream, names=sent.reply.names)["content"][0]["name"] == "my.tool"
    whole = {**START["message"], "content": [{**USE, "name": name}]}
    assert anthropic.read_answer(whole, reply(names=sent.reply.names))["content"][0]["name"] == "my.tool"


def test_calls_and_results_are_paired_as_anthropic_demands() -> None:
    other = {**USE, "id": "toolu_2"}
    late = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_2", "content": "late"}]}
    orphan = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "lost"}],
    }
    whole = [HI, {"role": "assistant", "content": [USE]}, RESULT]
    assert outbound(anthropic, {"messages": whole}, "claude-x").body["messages"] == whole

    def results(*messages: dict[str, Any]) -> list[tuple[str, str]]:
        sent = outbound(anthropic, {"messages": list(messages)}, "claude-x").body["messages"]
        return [
            (block.get("tool_use_id", ""), block.get("content") or block.get("text"))
            for block in sent[2]["content"]
        ]

    asked = {"role": "assistant", "content": [USE, other]}
    missing = "No result: the call was not carried out."
    assert results(HI, asked, late, RESULT) == [("toolu_1", "done"), ("toolu_2", "late")]
    assert results(HI, asked, RESULT, {"role": "assistant", "content": "on"}) == [
        ("toolu_1", "done"),
        ("toolu_2", missing),
    ]
    assert results(HI, {"role": "assistant", "content": "on"}, orphan) == [
        ("", "Result of an earlier call: lost")
    ]


def test_empty_texts_are_left_out() -> None:
    empty = {"type": "text", "text": ""}
    messages = [
        HI,
        {"role": "assistant", "content": [empty]},
        {"role": "user", "content": [empty, {"type": "text", "text": "on"}]},
    ]
    sent = outbound(anthropic, {"messages": messages}, "claude-x").body["messages"]
    assert sent == [HI, {"role": "user", "content": [{"type": "text", "text": "on"}]}]


def test_a_model_that_knows_no_system_messages_between_turns_hears_them_from_the_user() -> None:
    hub = {"messages": [HI, {"role": "system", "content": "Mind."}]}
    assert outbound(anthropic, hub, "claude-x").body["messages"][1]["role"] == "system"
    assert (
        outbound(anthropic, hub, "claude-x", quirks=frozenset({"no_mid_system"})).body["messages"][1]["role"]
        == "user"
    )


NOTE = {"role": "system", "content": "Mind."}
SAID = {"role": "assistant", "content": "Yes."}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
ANSWERED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]}
SEARCHED = {
    "role": "assistant",
    "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}],
}
PLACES = {
    "last": ([HI, NOTE], ["user", "system"]),
    "before an answer": ([HI, NOTE, SAID, HI], ["user", "system", "assistant", "user"]),
    "first": ([NOTE, HI], ["user", "user"]),
    "before a user": ([HI, NOTE, HI], ["user", "user", "user"]),
    "after an answer": ([HI, SAID, NOTE, HI], ["user", "assistant", "user", "user"]),
    "two": ([HI, NOTE, NOTE, SAID, HI], ["user", "user", "system", "assistant", "user"]),
    "between a call and its result": ([HI, CALLED, NOTE, ANSWERED], ["user", "assistant", "user", "system"]),
    "in a search": ([HI, SEARCHED, NOTE], ["user", "assistant", "system"]),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_system_message_stands_only_where_anthropic_takes_one(place: str) -> None:
    messages, roles = PLACES[place]
    sent = outbound(anthropic, {"messages": messages}, "claude-x").body["messages"]
    assert [each["role"] for each in sent] == roles
    assert sum("Mind." in str(each) for each in sent) == sum(each is NOTE for each in messages)


BODY = b'{ "model": "claude-x",  "messages": [ {"role":"user","content":"Hi"} ], "shiny":1.50 }'


def test_a_body_that_needs_no_change_is_forwarded_as_the_same_object() -> None:
    assert anthropic.forward(BODY, Options(model="claude-x")) is BODY


def test_another_model_name_changes_only_the_model() -> None:
    sent = anthropic.forward(BODY, Options(model="claude-y"))
    assert b'"messages":[ {"role":"user","content":"Hi"} ]' in sent
    assert b'"shiny":1.50' in sent
    assert orjson.loads(sent)["model"] == "claude-y"


def test_a_forwarded_body_loses_only_foreign_thinking() -> None:
    hub = {
        "model": "claude-x",
        "x": 1,
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "", "signature": "gm1.c.S"}, THOUGHT, USE],
            },
            RESULT,
        ],
    }
    sent = orjson.loads(anthropic.forward(orjson.dumps(hub), Options(model="claude-x")))
    assert sent == {**hub, "messages": [HI, {"role": "assistant", "content": [THOUGHT, USE]}, RESULT]}


def test_bytes_that_are_no_request_are_refused() -> None:
    for body in (b"[]", b"{", b'{"model":"m","messages":{"type":"thinking","signature":"gm1.c.x"}}'):
        with pytest.raises(BadRequest):
            anthropic.forward(body, Options(model="y"))


ERRORS: list[tuple[int, bytes, tuple[int, str, str]]] = [
    (400, b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: required"}}', (400, "invalid_request_error", "max_tokens: required")),
    (529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', (529, "overloaded_error", "Overloaded")),
    (502, b"<html>", (500, "api_error", "<html>")),
    (403, b"{}", (403, "permission_error", "{}")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "expected"), ERRORS)
def test_errors_keep_their_words(status: int, body: bytes, expected: tuple[int, str, str]) -> None:
    info = anthropic.read_error(status, {"retry-after": "7"}, body)
    assert (info.status, info.type, info.message) == expected
    assert info.retry_after == 7


def test_an_error_inside_a_200_is_a_failure() -> None:
    with pytest.raises(AnswerFailed, match="Busy"):
        anthropic.read_answer(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}, reply()
        )


def test_models_are_listed_in_anthropics_shape() -> None:
    listed = anthropic.write_models([Model("claude-a", "Claude A", 1_700_000_000), Model("fast")])
    assert listed["data"][0] == {
        "type": "model",
        "id": "claude-a",
        "display_name": "Claude A",
        "created_at": "2023-11-14T22:13:20Z",
    }
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("claude-a", "fast", False)
    assert anthropic.write_models([]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
