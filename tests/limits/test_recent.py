"""What was worked out of a text is remembered for as long as somebody asks for it."""

from __future__ import annotations

import pytest

from gateway.limits.recent import Recent


def counting(*, most: int) -> tuple[Recent[int], list[bytes]]:
    worked: list[bytes] = []

    def work(text: bytes) -> int:
        worked.append(text)
        return len(text)

    return Recent(work, most=most), worked


def test_a_text_that_comes_again_is_worked_out_once() -> None:
    recent, worked = counting(most=4)
    assert [recent(text) for text in (b"one", b"three", b"one", b"three")] == [3, 5, 3, 5]
    assert worked == [b"one", b"three"]


def test_what_nobody_asks_for_is_forgotten_and_what_comes_again_is_not() -> None:
    recent, worked = counting(most=4)
    recent(b"rare")
    for number in range(100):
        recent(b"often")
        recent(b"%d" % number)
    recent(b"rare")
    assert worked.count(b"rare") == 2
    assert worked.count(b"often") == 1


def test_a_text_that_cannot_be_read_is_not_remembered() -> None:
    worked: list[bytes] = []

    def work(text: bytes) -> int:
        worked.append(text)
        return int(text)

    recent = Recent(work)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            recent(b"x")
    assert worked == [b"x", b"x"]


def test_what_is_not_light_is_not_remembered() -> None:
    worked: list[bytes] = []

    def work(text: bytes) -> int:
        worked.append(text)
        return len(text)

    recent = Recent(work, light=lambda size: size < 4)
    assert [recent(text) for text in (b"one", b"three", b"one", b"three")] == [3, 5, 3, 5]
    assert worked == [b"one", b"three", b"three"]
