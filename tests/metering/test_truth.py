"""Which figures are believed, and what is charged instead."""

from __future__ import annotations

import json

import pytest

from gateway.metering import truth
from gateway.metering.readers import written
from gateway.metering.usage import Usage

WORDS = "All happy families are alike; each unhappy family is unhappy in its own way. "
REQUEST = json.dumps({"messages": [{"role": "user", "content": WORDS * 100}]}).encode()


def delta(text: str) -> bytes:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return b"event: content_block_delta\ndata: " + json.dumps(event).encode() + b"\n\n"


def settled(reported: Usage | None, *answer: bytes, final: bool = True, binary: bool = False) -> Usage:
    return truth.settled(
        reported, request=REQUEST, model="claude-sonnet-4-5", provider="p", answer=answer, final=final, binary=binary
    )  # fmt: skip


@pytest.mark.parametrize("words", [1, 4, 20])
def test_an_honest_stream_is_charged_as_reported(words: int) -> None:
    text = " ".join(WORDS.split()[:words]) + " "
    answer = [delta(text)] * 300
    tokens = 300 * len(text) // 5
    assert settled(Usage(1900, tokens), *answer) == Usage(1900, tokens)


@pytest.mark.parametrize("size", [5, 50, 400])
def test_a_stream_that_says_too_little_is_charged_by_its_text(size: int) -> None:
    usage = settled(Usage(1900, 3), *[delta("x" * size)] * 400)
    assert (usage.input, usage.output, usage.estimated) == (1900, 100 * size, True)


def test_a_whole_answer_that_says_too_little_is_charged_by_its_text() -> None:
    answer = json.dumps({"content": [{"type": "text", "text": WORDS * 50}], "usage": {}}).encode()
    assert settled(Usage(1900, 1), answer).output == pytest.approx(len(WORDS) * 50 / 4, abs=1)


def test_a_prompt_that_is_understated_is_charged_by_its_words() -> None:
    usage = settled(Usage(10, 5), delta("hello there"))
    assert usage.estimated
    assert usage.input == pytest.approx(1900, rel=0.25)


def test_of_a_cut_answer_the_larger_figure_counts() -> None:
    assert settled(Usage(1900, 1), delta("x" * 400), final=False) == Usage(1900, 100, estimated=True)
    assert settled(Usage(1900, 500), delta("x" * 400), final=False) == Usage(1900, 500, estimated=True)


def test_what_cannot_be_read_is_charged_by_its_size_where_nothing_was_said() -> None:
    assert settled(None, b"\x00" * 4000, binary=True).output == 100
    assert settled(Usage(1900, 3), b"\x00" * 4000, binary=True) == Usage(1900, 3)


def test_what_a_provider_adds_or_leaves_out_of_a_small_prompt_is_no_lie() -> None:
    tools = [{"name": "f", "description": WORDS * 4, "input_schema": {"type": "object"}}]
    request = json.dumps({"tools": tools, "messages": []}).encode()
    told = Usage(20, 5)
    assert truth.settled(told, request=request, model="claude-x", provider="p", answer=[delta("hi")]) == told


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"delta":{"content":"caf\\u00e9"}}', 5),
        (b'{"choices":[{"delta":{"content":"a\\"b"}}]}', 4),
        (b'data: {"type":"response.output_text.delta","delta":"abc"}\n\ndata: {"type":"response.output_text.done","text":"abc"}', 3),
        (b'{"candidates":[{"content":{"parts":[{"text":"abcd"}]}}]}', 4),
        (b'{"text":"never closed', 0),
        (b"", 0),
    ],
)  # fmt: skip
def test_text_is_measured_in_every_dialect(data: bytes, size: int) -> None:
    assert written(data) == size
