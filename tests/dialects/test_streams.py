"""What every reader is built on: the composer of streams, the reducer, cut arguments, frames."""

from __future__ import annotations

import re
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.llm.dialects.composer import Composer
from gateway.llm.dialects.frames import Sieve
from gateway.llm.dialects.names import GEMINI, Names
from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import ErrorInfo
from gateway.llm.dialects.reduce import expand, reduce
from gateway.metering.usage import Usage
from tests.dialects import grammar
from tests.dialects.driving import reply

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
# What an upstream may do, in any order: pieces of calls 0 to 3 interleave with text and thoughts.
STEPS = st.lists(
    st.tuples(st.just("text"), st.text(max_size=4))
    | st.tuples(st.just("thinking"), st.text(max_size=4))
    | st.tuples(st.just("sign"), st.sampled_from(["gm1.c.S", "oa1.T"]))
    | st.tuples(st.just("tool"), st.integers(0, 3))
    | st.tuples(st.just("arguments"), st.integers(0, 3))
    | st.tuples(st.just("done"), st.integers(0, 3)),
    max_size=25,
)  # fmt: skip


def play(steps: list[tuple[str, Any]], composer: Composer) -> tuple[str, dict[int, str]]:
    """Drives a composer; gives the text and the arguments that must come out."""
    text, arguments, closed = "", dict[int, str](), set[int]()
    for step, value in steps:
        if step in ("text", "thinking", "sign"):
            getattr(composer, step)(value)
            text += value if step == "text" else ""
        elif step == "tool" and value not in arguments:
            composer.tool(value, name=f"tool{value}")
            arguments[value] = ""
        elif value in arguments and value not in closed:
            if step == "done":
                composer.done(value)
                closed.add(value)
            elif step == "arguments":
                piece = '{"n":1' if not arguments[value] else ","
                composer.arguments(value, piece)
                arguments[value] += piece
    return text, arguments


@given(STEPS)
def test_whatever_an_upstream_interleaves_the_stream_obeys_the_grammar_and_loses_nothing(
    steps: list[tuple[str, Any]],
) -> None:
    composer = Composer(reply())
    text, arguments = play(steps, composer)
    composer.finish("max_tokens", Usage(input=1, output=2))
    events = composer.drain()
    grammar.hub(events, whole=True)
    content = reduce(events)["content"]
    assert "".join(block["text"] for block in content if block["type"] == "text") == text
    calls = [block["name"] for block in content if block["type"] == "tool_use"]
    assert calls == [f"tool{number}" for number in arguments]
    pieces = "".join(
        event["delta"].get("partial_json", "") for event in events if event["type"] == "content_block_delta"
    )
    assert pieces == "".join(told or "{}" for told in arguments.values())


@given(STEPS)
def test_one_call_only_where_the_client_wants_no_more(steps: list[tuple[str, Any]]) -> None:
    composer = Composer(reply(one_call=True))
    _, arguments = play(steps, composer)
    composer.finish("end_turn", None)
    message = reduce(composer.drain())
    assert sum(block["type"] == "tool_use" for block in message["content"]) == min(1, len(arguments))
    assert message["stop_reason"] == ("tool_use" if arguments else "end_turn")


def test_the_first_of_two_calls_streams_while_the_second_waits() -> None:
    composer = Composer(reply())
    composer.tool(0, name="a")
    composer.arguments(0, "{")
    composer.tool(1, name="b")
    composer.arguments(1, "{}")
    composer.arguments(0, "}")
    first = [event for event in composer.drain() if event["type"] == "content_block_delta"]
    assert [event["delta"]["partial_json"] for event in first] == ["{", "}"]
    composer.done(0)
    assert [event.get("index") for event in composer.drain()] == [0, 1, 1]


def test_nothing_follows_an_error() -> None:
    composer = Composer(reply())
    composer.text("a")
    composer.fail(ErrorInfo(500, "api_error", "Oh."))
    composer.finish("end_turn", None)
    composer.cut()
    events = composer.drain()
    grammar.hub(events, whole=False)
    assert [event["type"] for event in events][-1] == "error"


BLOCKS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=9))
    | st.builds(lambda text, sig: {"type": "thinking", "thinking": text, "signature": sig}, st.text(max_size=9), st.sampled_from(["", "Sig"]))
    | st.just({"type": "redacted_thinking", "data": "xyz"}),
    max_size=5,
)  # fmt: skip


@given(BLOCKS, st.lists(OBJECTS, max_size=3))
def test_expanding_and_reducing_are_inverse(blocks: list[Any], inputs: list[Any]) -> None:
    calls = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": given}
        for number, given in enumerate(inputs)
    ]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [*blocks, *calls],
               "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2}}  # fmt: skip
    events = list(expand(message))
    grammar.hub(events, whole=True)
    assert reduce(events) == message


@given(OBJECTS, st.data())
def test_cut_arguments_give_what_was_complete(value: dict[str, Any], data: st.DataObject) -> None:
    written = orjson.dumps(value).decode()
    cut = written[: data.draw(st.integers(0, len(written)))]
    told = parse(cut)
    assert isinstance(told, dict)
    for key, item in told.items():
        if isinstance(item, (str, int, bool)) or item is None:
            assert value[key] == item
    assert parse(written) == value


def test_cut_arguments_keep_whole_entries() -> None:
    assert parse('{"path": "/a", "lines": [1, 2], "text": "half a str') == {"path": "/a", "lines": [1, 2]}
    assert parse("") == {}


@given(
    st.lists(
        st.sampled_from(
            [b"a", b'"usage"', b"\n", b"\n\n", b"\r\n\r\n", b"data: x\n\n", b'data: "usage"\r\n\r\n']
        ),
        max_size=12,
    ),
    st.data(),
)
def test_a_sieve_finds_the_same_frames_however_the_bytes_are_cut(
    pieces: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(pieces)
    marks = (re.compile(rb'"usage"'),)
    whole = Sieve(marks).feed(stream)
    at = data.draw(st.integers(0, len(stream)))
    cut = Sieve(marks)
    assert cut.feed(stream[:at]) + cut.feed(stream[at:]) == whole


@given(st.text(min_size=1, max_size=90))
def test_any_tool_name_is_made_to_fit_and_comes_back(name: str) -> None:
    names = Names(GEMINI)
    sent = names.send(name)
    assert GEMINI.fullmatch(sent)
    assert names.back.get(sent, sent) == name
    assert Names(GEMINI).send(name) == sent


def test_long_names_with_one_beginning_stay_apart() -> None:
    names = Names()
    assert len({names.send("mcp__" + "x" * 70 + tail) for tail in "abc"}) == 3
