"""A body that holds nothing is not taken apart; what a guard says of any body is the same as if it were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call import Call, Verdict
from gateway.errors import Refused
from gateway.guards.policy import Guard
from gateway.guards.rules import rules_from
from gateway.middleware.guard import GuardMiddleware
from tests.driver import Driver
from tests.guards.apps import Echo

RULES = [
    {"regex": r"\b\d{3}-\d{2}-\d{4}\b", "action": "mask"},
    {"regex": r"drop\s+table", "action": "audit"},
    {"regex": r'say "hi"|a\\b|\bq\w\b', "action": "audit", "in": ["messages", "tool_results"]},
    {"regex": r"[\x00-\x08\x0b-\x1f\x7f]", "action": "audit"},
    {"regex": "(?i)naïve", "action": "reject", "in": ["system", "tools"]},
]
SIFTING = Guard(request=rules_from(RULES))
# A pattern that asks for a text's edge can only be judged text by text.
TEXT_BY_TEXT = Guard(request=rules_from([*RULES, {"regex": "never found$", "action": "audit"}]))

WORDS = st.sampled_from([
    "123-45-6789", "drop\ntable", 'say "hi"', "a\\b", "qa", "naïve", "\x00", "\x7f", "\\n", "\\\\n", "\\u0031", "/", "word",
    "a\u200db", "\U000e0041", "\ufeff", "🙂", "\u202e", "base64", '{"type":"image"}',
])  # fmt: skip
TEXTS = (
    st.lists(WORDS, max_size=3).map(" ".join) | st.lists(WORDS, max_size=3).map("".join) | st.text(max_size=6)
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: {"type": "text", "text": text}),
    TEXTS.map(lambda text: {"type": "tool_result", "tool_use_id": text, "content": text}),
    TEXTS.map(lambda text: {"type": "tool_use", "id": text, "name": "n", "input": {text: [text, 65]}}),
    TEXTS.map(lambda text: {"type": "thinking", "thinking": text, "signature": text}),
    st.sampled_from(["image", "document", "input_file", "audio"]).map(
        lambda kind: {"type": kind, "source": {}}
    ),
    st.sampled_from(["inlineData", "file_data"]).map(lambda key: {key: {"data": "aGk="}}),
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(st.builds(lambda c: {"role": "user", "content": c}, TEXTS | st.lists(BLOCKS, max_size=3)), max_size=3)},
    optional={"system": TEXTS, "tools": st.lists(TEXTS.map(lambda text: {"name": "n", "description": text}), max_size=2), "user": TEXTS},
)  # fmt: skip


async def said(guard: Guard, body: bytes) -> tuple[Any, list[Verdict]]:
    call = Call(id="req_1", at=0.0, started=0, path="/v1/messages")
    try:
        found = guard.request(call, body)
        kept, placeholders = found if isinstance(found, tuple) else await found
    except Refused as refused:
        return refused.refusal, call.verdicts
    # The placeholders of two guards differ, as their keys do.
    return (kept == body, bool(placeholders)), call.verdicts


@settings(deadline=None)
@given(BODIES, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]), st.booleans())
async def test_every_body_is_judged_as_if_it_were_taken_apart(
    body: dict[str, Any], separators: tuple[str, str], escaped: bool
) -> None:
    sent = json.dumps(body, separators=separators, ensure_ascii=escaped).encode()
    assert await said(SIFTING, sent) == await said(TEXT_BY_TEXT, sent)


@pytest.mark.parametrize("escape", ["\\u0064rop table", "drop\\u0020table", "drop\\n\\ttable", "drop table"])
async def test_a_pattern_is_found_however_its_text_is_escaped(escape: str) -> None:
    guard = GuardMiddleware(Echo(), request=rules_from([{"regex": r"drop\s+table", "action": "reject"}]))
    body = f'{{"model": "m", "messages": [{{"role": "user", "content": "{escape}"}}]}}'.encode()
    assert (await Driver(guard).post("/v1/messages", body)).status == 403


@pytest.mark.parametrize("pattern", ["^drop", "drop$", r"\Adrop", r"drop\z", "(?m)^drop"])
async def test_a_pattern_of_a_texts_edge_is_found_there(pattern: str) -> None:
    guard = GuardMiddleware(Echo(), request=rules_from([{"regex": pattern, "action": "reject"}]))
    body = {"model": "m", "messages": [{"role": "user", "content": "drop"}]}
    assert (await Driver(guard).post("/v1/messages", body)).status == 403


@pytest.mark.parametrize(("depth", "status"), [(250, 403), (260, 403), (1000, 403), (5000, 400)])
async def test_a_deep_body_is_read_or_refused_and_never_fails(depth: int, status: int) -> None:
    for rule in (
        {"regex": r"drop\s+table", "action": "reject"},
        {"regex": "^drop table", "action": "reject"},
    ):
        guard = GuardMiddleware(Echo(), request=rules_from([rule]))
        body = b'{"model": "m", "messages": ' + b"[" * depth + b'"drop table"' + b"]" * depth + b"}"
        assert (await Driver(guard).post("/v1/messages", body)).status == status


@pytest.mark.parametrize("around", ["", "word " * 20_000, "AbC+/" * 20_000, "word " * 200_000])
async def test_a_pattern_is_found_in_a_body_of_any_size(around: str) -> None:
    guard = GuardMiddleware(Echo(), request=rules_from([{"regex": r"drop\s+table", "action": "reject"}]))
    for said, status in ((" drop table ", 403), ("", 200)):
        body = {"model": "m", "messages": [{"role": "user", "content": around + said + around}]}
        assert (await Driver(guard).post("/v1/messages", body)).status == status


async def test_a_key_twice_is_refused_in_any_spacing() -> None:
    guard = GuardMiddleware(Echo(), request=rules_from(RULES))
    for body in (b'{"a":{"b":"x","b":"y"}}', b'{ "a": [{"b": 1, "\\u0062": 2}] }'):
        assert (await Driver(guard).post("/v1/messages", body)).status == 400


@pytest.mark.parametrize("block", [{"type": kind, "source": {}} for kind in ("image", "document", "input_audio", "file")]
                         + [{key: {"data": "aGk="}} for key in ("inlineData", "file_data", "video")])  # fmt: skip
async def test_what_cannot_be_read_is_noted_though_no_pattern_hits(block: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": [block]}]}
    (passed, _), verdicts = await said(SIFTING, json.dumps(body).encode())
    assert passed
    assert [verdict.rule for verdict in verdicts] == ["not_scanned"]


@pytest.mark.parametrize(
    "hidden", ["\U000e0041", "\u202e", "\u200b", "\ufeff", "a\u200db", "\U000e0101", "\ufe01" * 4]
)
async def test_each_invisible_character_is_seen_though_no_pattern_hits(hidden: str) -> None:
    body = {"model": "m", "messages": [], "tools": [{"name": "n", "description": f"Adds.{hidden}."}]}
    refusal, _ = await said(SIFTING, json.dumps(body, ensure_ascii=False).encode())
    assert refusal.rule == "hidden_characters"
