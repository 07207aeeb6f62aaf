"""Estimates of prompt tokens against what providers counted; the figures are from their documentation and public recordings."""

from __future__ import annotations

import base64
import json
import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import estimate
from gateway.limits.estimate_images import image_size

PROSE = "The gateway stands between a coding agent and everything that it talks to, and keeps count of what that costs. "


def ask(text: object, **more: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()


def png(width: int, height: int) -> str:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 4000).decode()


MODELS = ["claude-sonnet-4-5", "gpt-5.1", "gemini-2.5-pro", "mistral-large"]


@pytest.mark.parametrize("model", MODELS)
def test_english_is_about_six_tokens_for_five_words(model: str) -> None:
    """As recorded; the providers' rules of thumb say up to seven. scripts/estimate_error measures recordings."""
    words = len(PROSE.split()) * 100
    assert estimate.prompt(ask(PROSE * 100), model) == pytest.approx(words * 6 / 5, rel=0.25)


@pytest.mark.parametrize("model", MODELS)
def test_a_text_counts_alike_however_its_letters_are_escaped(model: str) -> None:
    text = "Die Größe der Anfrage wird geschätzt, bevor überhaupt jemand gezählt hat. " * 50
    escaped = ask(text)
    plain = escaped.decode("unicode_escape").encode()
    assert estimate.prompt(escaped, model) == pytest.approx(estimate.prompt(plain, model), rel=0.15)


# What GPT-4o makes of a sentence in each language, as its announcement says.
SPOKEN = {
    "Arabic": (26, "مرحبًا، اسمي جي بي تي-4o. أنا نوع جديد من نموذج اللغة، سررت بلقائك!"),
    "Russian": (23, "Привет, меня зовут GPT-4o. Я — новая языковая модель, приятно познакомиться!"),
    "Korean": (
        27,
        "안녕하세요, 제 이름은 GPT-4o입니다. 저는 새로운 유형의 언어 모델입니다, 만나서 반갑습니다!",
    ),
    "Chinese": (24, "你好，我的名字是GPT-4o。我是一种新型的语言模型，很高兴见到你!"),
    "Japanese": (26, "こんにちは、私の名前はGPT-4oです。私は新しいタイプの言語モデルです。初めまして！"),
    "Vietnamese": (
        30,
        "Xin chào, tên tôi là GPT-4o. Tôi là một loại mô hình ngôn ngữ mới, rất vui được gặp bạn!",
    ),
    "German": (
        29,
        "Hallo, mein Name is GPT-4o. Ich bin ein neues KI-Sprachmodell. Es ist schön, dich kennenzulernen.",
    ),
}


@pytest.mark.parametrize("language", SPOKEN)
def test_other_languages_count_as_they_do(language: str) -> None:
    tokens, text = SPOKEN[language]
    assert estimate.prompt(ask(text * 20), "gpt-4o") == pytest.approx(tokens * 20, rel=0.25)


def test_code_has_more_tokens_than_prose_of_the_same_length() -> None:
    code = "def add(a: int, b: int) -> int:\n    return a + b\n\n\n" * 100
    prose = (PROSE * 100)[: len(code)]
    assert estimate.prompt(ask(code), "gpt-5.1") > 1.2 * estimate.prompt(ask(prose), "gpt-5.1")


def test_the_newer_claudes_make_more_tokens_of_the_same_text() -> None:
    text = ask(PROSE * 100)
    older, newer = (estimate.prompt(text, model) for model in ("claude-sonnet-4-5", "claude-opus-5"))
    assert newer / older == pytest.approx(1.39, abs=0.02)


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        ("claude-sonnet-4-5", 597, 566, 451),  # w * h / 750, as documented
        ("claude-sonnet-4-5", 1092, 1092, 1590),
        ("claude-opus-4-1", 200, 200, 54),
        ("claude-opus-4-8", 2000, 1500, 4000),
        ("gemini-2.5-flash", 384, 384, 258),
        ("gemini-2.0-flash", 960, 540, 258 * 7),  # six crops, and the whole
        ("gpt-4o", 3008, 2000, 1105),  # six tiles, as documented
        ("gpt-4.1", 512, 512, 255),
        ("gpt-4o-mini", 640, 480, 14167),
        ("gpt-4.1-mini", 640, 480, 486),
        ("gpt-5", 640, 480, 350),
        ("o4-mini", 640, 480, 516),
        ("mistral-medium-latest", 597, 566, 484),
    ],
)
def test_an_image_counts_by_its_size_and_not_by_its_bytes(
    model: str, width: int, height: int, tokens: int
) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": png(width, height)}
    body = json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    ).encode()
    assert estimate.prompt(body, model) == pytest.approx(tokens + 15, rel=0.25)


def test_tools_that_are_only_loaded_when_looked_for_are_not_counted() -> None:
    tool = {"name": "get_weather", "description": PROSE, "input_schema": {"type": "object", "properties": {}}}
    search = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
    here, alone = ask("hi", tools=[tool, search]), ask("hi", tools=[search])
    deferred = ask("hi", tools=[{**tool, "defer_loading": True}] * 50 + [search])
    model = "claude-sonnet-4-5"
    assert estimate.prompt(deferred, model) == pytest.approx(estimate.prompt(alone, model), abs=2)
    assert estimate.prompt(here, model) > estimate.prompt(alone, model) + len(PROSE) / 6
    assert estimate.prompt(b'{"tools":{"defer_loading":true}}', model) > 0


def test_a_tool_that_was_looked_for_and_found_is_counted() -> None:
    tool = {
        "name": "get_weather",
        "description": PROSE * 5,
        "input_schema": {"type": "object"},
        "defer_loading": True,
    }
    found = {
        "type": "tool_result",
        "tool_use_id": "1",
        "content": [{"type": "tool_reference", "tool_name": "get_weather"}],
    }
    hidden = json.dumps({"messages": [{"role": "user", "content": "hi"}], "tools": [tool]}).encode()
    loaded = json.dumps({"messages": [{"role": "user", "content": [found]}], "tools": [tool]}).encode()
    model = "claude-sonnet-4-5"
    assert estimate.prompt(loaded, model) - estimate.prompt(hidden, model) > len(PROSE)


@pytest.mark.parametrize(
    ("model", "choice", "tokens"),
    [
        ("claude-sonnet-4-5", "auto", 496),
        ("claude-sonnet-4-5", "any", 588),
        ("claude-opus-4-7", "auto", 675),
        ("claude-opus-4-8", "tool", 410),
        ("claude-3-5-haiku-latest", "auto", 264),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "auto", 313),
    ],
)
def test_what_tools_add_is_the_documented_preamble(model: str, choice: str, tokens: int) -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    more = estimate.prompt(ask("hi", tools=[tool], tool_choice={"type": choice}), model) - estimate.prompt(
        ask("hi"), model
    )
    assert more == pytest.approx(tokens + 20, abs=15)


def test_thoughts_of_turns_before_are_not_counted() -> None:
    thought = [
        {"type": "thinking", "thinking": PROSE * 20, "signature": "x"},
        {"type": "text", "text": "yes"},
    ]
    turns = [{"role": "user", "content": "well?"}, {"role": "assistant", "content": thought}]
    result = [{"type": "tool_result", "tool_use_id": "1", "content": "ok"}]
    within = json.dumps({"messages": [*turns, {"role": "user", "content": result}]}).encode()
    after = json.dumps({"messages": [*turns, {"role": "user", "content": "and now?"}]}).encode()
    assert estimate.prompt(within, "claude-sonnet-4-5") > 400
    assert estimate.prompt(after, "claude-sonnet-4-5") < 40


def test_tagged_thoughts_count_where_the_models_template_keeps_them() -> None:
    said = [
        {"role": "user", "content": "well?"},
        {"role": "assistant", "content": f"<think>{PROSE * 20}</think>yes"},
    ]
    body = json.dumps({"messages": [*said, {"role": "user", "content": "and now?"}]}).encode()
    assert estimate.prompt(body, "qwen3-32b") < 40
    assert estimate.prompt(body, "gpt-5") > 400


def test_a_text_file_counts_by_its_text() -> None:
    data = base64.b64encode((PROSE * 20).encode()).decode()
    file = {"inlineData": {"mimeType": "text/plain", "data": data}}
    body = json.dumps({"contents": [{"role": "user", "parts": [file]}]}).encode()
    assert estimate.prompt(body, "gemini-2.5-pro") == pytest.approx(
        estimate.prompt(ask(PROSE * 20), "gemini-2.5-pro"), rel=0.05
    )


def test_what_is_no_word_costs_more_than_words() -> None:
    digest = "F2xb9QmZr7LpW3kTnV8cJ5hYd" * 40
    assert estimate.prompt(ask(digest), "gpt-4o") > 2 * estimate.prompt(ask((PROSE * 20)[:1000]), "gpt-4o")


def replayed(signature: str, ident: str = "1") -> bytes:
    call = {"functionCall": {"name": "f", "args": {}, "id": ident}, "thoughtSignature": signature}
    answer = {"functionResponse": {"name": "f", "response": {}, "id": ident}}
    return json.dumps(
        {"contents": [{"role": "model", "parts": [call]}, {"role": "user", "parts": [answer]}]}
    ).encode()


def test_signed_thoughts_count_where_the_provider_counts_them() -> None:
    thought, none = replayed("A" * 6000), replayed("")
    ask = estimate.prompt
    assert ask(thought, "gemini-3-pro") - ask(none, "gemini-3-pro") == pytest.approx(1190, rel=0.05)
    assert ask(thought, "gemini-3-pro", provider="vertex") == ask(none, "gemini-3-pro", provider="vertex")
    assert ask(thought, "gemini-2.5-pro") == ask(none, "gemini-2.5-pro")


def test_ids_that_join_calls_and_results_are_not_words() -> None:
    short, long = replayed("", "1"), replayed("", "call_" + "1f2e" * 10)
    assert estimate.prompt(short, "gemini-2.5-pro") == estimate.prompt(long, "gemini-2.5-pro")


def test_tools_are_counted() -> None:
    tool = {
        "name": "get_weather",
        "description": PROSE,
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    without = estimate.prompt(ask("hi"), "claude-sonnet-4-5")
    one = estimate.prompt(ask("hi", tools=[tool]), "claude-sonnet-4-5")
    ten = estimate.prompt(ask("hi", tools=[tool] * 10), "claude-sonnet-4-5")
    assert one - without > 400
    assert ten - one == pytest.approx(9 * 62, rel=0.25)


def test_signatures_and_encrypted_thoughts_are_no_text() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "A1b2" * 2000}
    body = json.dumps({"messages": [{"role": "assistant", "content": [thought]}]}).encode()
    assert estimate.prompt(body, "claude-sonnet-4-5") < 60


def test_a_turn_counts_alike_whether_or_not_those_before_it_were_seen() -> None:
    said = [
        {"role": "user", "content": PROSE * 3},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": PROSE, "signature": "x"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "ok " * 40}]},
        {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
        {"role": "user", "content": "thanks"},
    ]
    bodies = [json.dumps({"system": PROSE, "messages": said[:end]}).encode() for end in range(1, 6)]
    turn_by_turn = [estimate.prompt(body, "claude-sonnet-4-5") for body in bodies]
    # Other words of the same kinds: nobody has seen any of these.
    new = [
        body.replace(b"gateway", b"footway").replace(b"thanks", b"cheers").replace(b"done", b"over")
        for body in bodies
    ]
    assert [estimate.prompt(body, "claude-sonnet-4-5") for body in reversed(new)] == turn_by_turn[::-1]


@pytest.mark.parametrize("field", ["messages", "input", "contents", "prompt", "system"])
def test_the_same_words_may_be_a_field_or_one_of_many(field: str) -> None:
    """What is remembered of one is not taken for the other: a text of its own is a message, a part is none."""
    alone, listed = (json.dumps({field: value}).encode() for value in (PROSE, [PROSE]))
    model = "claude-sonnet-4-5"
    found = [estimate.prompt(body, model) for body in (alone, listed, alone, listed)]
    assert found[0] - found[1] in (2, 3)
    assert found[:2] == found[2:]


@given(st.binary(max_size=400))
def test_any_bytes_have_an_estimate(body: bytes) -> None:
    assert estimate.prompt(body) >= 0
    image_size(base64.b64encode(body))


NAMES = st.sampled_from(
    [
        "role",
        "type",
        "content",
        "text",
        "parts",
        "data",
        "url",
        "input",
        "thinking",
        "functionResponse",
        "source",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=120)
    | st.sampled_from(["user", "tool_result", "data:text/plain;base64,x" * 9]),
    lambda node: st.lists(node, max_size=4) | st.dictionaries(NAMES, node, max_size=5),
    max_leaves=12,
)


@given(
    st.sampled_from(["messages", "system", "input", "contents", "tools", "thinking", "tool_choice", "text"]),
    JSON,
)
def test_any_json_has_an_estimate(field: str, value: object) -> None:
    body = json.dumps({field: value}).encode()
    assert all(estimate.prompt(body, model) >= 1 for model in ("claude-sonnet-4-5", "gemini-3-pro", "gpt-5"))


@given(st.text(max_size=200))
def test_more_text_is_never_fewer_tokens(text: str) -> None:
    assert estimate.prompt(ask(text + PROSE), "claude-sonnet-4-5") >= estimate.prompt(
        ask(text), "claude-sonnet-4-5"
    )


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab"
    + b"\xff\xc0\x00\x11\x08"
    + struct.pack(">HH", 566, 597)
    + b"\x03"
    + b"\0" * 200
)
PICTURES = {
    "png": (base64.b64decode(png(640, 480)), (640, 480)),
    "jpeg": (JPEG, (597, 566)),
    "gif": (b"GIF89a" + struct.pack("<HH", 320, 200) + b"\0" * 200, (320, 200)),
    "webp": (
        b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 7 + b"\x9d\x01\x2a" + struct.pack("<HH", 800, 440) + b"\0" * 200,
        (800, 440),
    ),
    "webp, lossless": (
        b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 4 + b"\x2f" + struct.pack("<I", 799 | 439 << 14) + b"\0" * 200,
        (800, 440),
    ),
    "webp, extended": (
        b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\x1f\x03\0\xb7\x01\0" + b"\0" * 200,
        (800, 440),
    ),
    "webp, cut": (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 200, (1024, 1024)),
    "pdf": (b"%PDF-1.7 " + b"\0" * 200, None),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_pictures_size_is_read_from_its_head(kind: str) -> None:
    raw, size = PICTURES[kind]
    assert image_size(base64.b64encode(raw)) == size


MADE_UP = {
    "names of tools": lambda number: ask([{"tool_name": f"{number} {each}"} for each in range(3000)]),
    "a long name of a tool": lambda number: ask([{"tool_name": f"{number}" + "x" * 100_000}]),
    "pictures": lambda number: ask([{"data": f"{number}" + "x" * 90}] * 2000),
    "kinds of tools": lambda number: ask("", tools=[{"type": f"{number}{'x' * 100_000}_20250124"}]),
}


@pytest.mark.parametrize("what", MADE_UP)
def test_whoever_makes_up_requests_does_not_fill_the_memory(what: str) -> None:
    """A long request leaves about as much as a short one."""
    estimate.prompt(MADE_UP[what](0))
    tracemalloc.start()
    try:
        for number in range(1, 20):
            estimate.prompt(MADE_UP[what](number))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000  # what is remembered grows in steps; these would be 1.9 MB and more


def test_many_tools_that_were_looked_for_are_told_from_many_in_no_time() -> None:
    """A megabyte of both: 24 ms, where looking for each name in each tool took 10 s."""
    tools = [{"name": f"tool_{number}", "defer_loading": True} for number in range(4000)]
    found = [{"type": "tool_reference", "tool_name": f"other_{number}"} for number in range(20_000)]
    body = ask(found, tools=tools)
    began = time.process_time()
    estimate.prompt(body, "claude-sonnet-4-5")
    assert time.process_time() - began < 3
