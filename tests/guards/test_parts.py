"""The pure parts of a guard: windows, splicing, weights, memory, statements."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import model, sql_arguments
from gateway.guards.features import Feature
from gateway.guards.findings import Finding
from gateway.guards.memory import Memory
from gateway.guards.placeholders import Placeholders
from gateway.guards.splice import splice
from gateway.guards.window import Mask, Window


@given(st.lists(st.text(max_size=90), max_size=40))
def test_a_window_passes_every_character_once_and_in_order(pieces: list[str]) -> None:
    window = Window(lambda text, fresh: [])
    assert "".join([*map(window.push, pieces), window.flush()]) == "".join(pieces)


@given(st.text(alphabet="ab ", max_size=700), st.lists(st.integers(1, 50), min_size=1), st.integers(0, 690))
def test_a_window_masks_a_word_wherever_it_is_cut(text: str, sizes: list[int], at: int) -> None:
    text = text[:at] + "SECRET" + text[at:]

    def judge(seen: str, fresh: int) -> list[Mask]:
        start = seen.find("SECRET")
        return [Mask(start, start + 6, "<gone>")] if start >= 0 else []

    window, out, rest, turn = Window(judge), "", text, 0
    while rest:
        size = sizes[turn % len(sizes)]
        out, rest, turn = out + window.push(rest[:size]), rest[size:], turn + 1
    assert out + window.flush() == text.replace("SECRET", "<gone>")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, str):
        return [at]
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path for key, item in items for path in paths(item, (*at, key))]


@given(
    JSON, st.integers(0, 100), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]), st.booleans()
)
def test_splicing_changes_one_string_and_no_other_byte(
    value: Any, pick: int, gaps: tuple[str, str], escaped: bool
) -> None:
    body = json.dumps(value, separators=gaps, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found = paths(value)
    if not found:
        assert splice(body, {("no",): "x"}) == body
        return
    path = found[pick % len(found)]
    changed = splice(body, {path: 'new "text" ü'})
    old = value
    for part in path:
        old = old[part]
    once = json.dumps(old, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert len(changed) == len(body) - len(once) + len('"new \\"text\\" ü"'.encode())
    now = json.loads(changed.decode("utf-8", "surrogatepass"))
    for part in path:
        now = now[part]
    assert now == 'new "text" ü'


_WORD = st.text(st.characters(exclude_characters="\t", exclude_categories=["Cs"]), min_size=1, max_size=6)
_LETTERS = st.text("abc0 '%\x02\u00fc", min_size=2, max_size=4).filter(
    lambda run: len(run.encode()) in (2, 4)
)
_GRAM = _LETTERS.map(lambda run: int.from_bytes(run.encode(), sys.byteorder))
_FEATURE = _GRAM | _WORD | st.lists(_WORD, min_size=2, max_size=4).map(tuple)
_WEIGHTS = st.dictionaries(_FEATURE, st.floats(-9, 9).filter(lambda w: abs(w) > 0.2), min_size=1, max_size=30)


@given(_WEIGHTS, _WEIGHTS)
def test_weights_survive_their_file(weights: dict[Feature, float], gate: dict[Feature, float]) -> None:
    written = model.Linear(weights, {"mark": 1.5}, -0.5, "prose", {"threshold": 0.7}, gate, -1.25)
    again = model.load(model.dump(written))
    for before, after in ((weights, again.weights), (gate, again.gate)):
        assert after.keys() == before.keys()
        assert all(abs(after[name] - weight) <= 9 / 127 for name, weight in before.items())
    assert (again.marks, again.bias, again.about, again.floor) == (
        {"mark": 1.5},
        -0.5,
        {"threshold": 0.7},
        -1.25,
    )


@pytest.mark.parametrize(
    "name", ["prompt_injection", "tool_descriptions", "sql_injection", "command_injection"]
)
def test_shipped_weights_say_how_good_they_are(name: str) -> None:
    about = model.shipped(name).about
    assert 0 < about["threshold"] < 1
    assert about["new_rows"]["false_positive_rate"] <= 0.01
    assert (
        about["new_rows"]["recall"]
        >= {
            "prompt_injection": 0.65,
            "tool_descriptions": 0.65,
            "sql_injection": 0.8,
            "command_injection": 0.9,
        }[name]
    )


def test_memory_forgets_what_was_unused_longest() -> None:
    memory, found = Memory(2), (Finding("pii", "email", 0, 1, 0.9, "a"),)
    memory.put("pii", b"1", found)
    memory.put("pii", b"2", ())
    assert memory.get("pii", b"1") == found
    memory.put("pii", b"3", ())
    assert memory.get("pii", b"2") is None
    assert memory.get("secrets", b"1") is None


@given(st.text(max_size=50))
def test_placeholders_are_stable_and_come_back(value: str) -> None:
    one, two = Placeholders(b"k"), Placeholders(b"k")
    name = one.stand_in("secrets", value)
    assert name == two.stand_in("secrets", value) != Placeholders(b"other").stand_in("secrets", value)
    assert one.restore(f"a {name} b") == f"a {value} b"
    assert Placeholders(b"k").restore(name) == name


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SELECT 1", ""), ("select * from a where b = ';'", ""), ("SELECT 1;", ""), ("VALUES (1), (2)", ""), ("SHOW TABLES", ""), ("EXPLAIN SELECT 1", ""),
        ("SELECT 1; SELECT 2", "2 statements"), ("DROP TABLE a", "writes"), ("insert into a values (1)", "writes"), ("SELECT * INTO b FROM a", "writes"),
        ("WITH x AS (DELETE FROM a RETURNING 1) SELECT * FROM x", "writes"), ("SELECT * FROM a FOR UPDATE", "writes"), ("EXPLAIN ANALYZE DELETE FROM a", "not a query"),
        ("CALL evil()", "not a query"), ("COPY a TO PROGRAM 'sh'", ""), ("SELECT FROM WHERE (", "cannot be parsed"), ("(" * 5000, "cannot be parsed"),
    ],
)  # fmt: skip
def test_statements_are_parsed_not_searched(statement: str, why: str) -> None:
    found = sql_arguments.judge(statement)
    if statement.startswith("COPY"):
        assert found  # however it is parsed, it is no query
    else:
        assert why in found if why else not found
