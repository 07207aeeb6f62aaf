"""What a request's headers say is worked out once, and for nobody else's request."""

import pytest

from gateway import heads
from gateway.call import Call
from gateway.heads import Heads, Pair

KEY, HOST = (b"x-api-key", b"sk-1"), (b"host", b"x")


def pairs(*given: Pair) -> list[Pair]:
    """As a server makes them: no two requests share an object."""
    return [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in given]


def call(known: Heads, *given: Pair) -> Call:
    return Call.new({"type": "http", "path": "/", "headers": pairs(*given)}, known)


def test_the_same_headers_are_the_same_head_however_long_the_body() -> None:
    known = Heads()
    first = call(known, HOST, (b"content-length", b"1"), KEY)
    second = call(known, HOST, (b"content-length", b"22"), KEY)
    third = call(known, HOST, KEY)
    assert first.head is second.head is third.head
    assert [each.headers.get("content-length") for each in (first, second, third)] == ["1", "22", None]


@pytest.mark.parametrize(
    "name", [b"traceparent", b"x-request-id", b"fly-request-id", b"x-amzn-trace-id", b"idempotency-key"]
)
def test_what_names_a_single_request_is_seen_and_makes_no_other_head(name: bytes) -> None:
    known = Heads()
    first, second = (call(known, (name, value), HOST, (b"content-length", b"1")) for value in (b"1", b"2"))
    assert first.head is second.head
    assert [each.headers[name.decode()] for each in (first, second)] == ["1", "2"]
    assert dict(second.headers) == {"host": "x", "content-length": "1", name.decode(): "2"}


@pytest.mark.parametrize(
    "other",
    [
        [HOST, (b"x-api-key", b"sk-2")],
        [HOST, KEY, KEY],
        [KEY, HOST],
        [HOST],
        [HOST, KEY, (b"accept", b"")],
        [(b"hos", b"tx"), KEY],
        [HOST, KEY, (b"content-length", b"1"), (b"content-length", b"1")],
    ],
)
def test_any_other_header_is_another_head(other: list[Pair]) -> None:
    known = Heads()
    assert call(known, HOST, KEY).head is not call(known, *other).head


def test_of_several_values_the_first_one_counts_of_lengths_too() -> None:
    made = call(Heads(), (b"a", b"1"), (b"content-length", b"1"), (b"a", b"2"), (b"content-length", b"2"))
    assert dict(made.headers) == {"a": "1", "content-length": "1"}
    assert made.head.repeats


def test_pairs_may_be_lists() -> None:
    lists: list[Pair] = [[b"a", b"1"], [b"content-length", b"2"]]  # type: ignore[list-item]
    assert heads.split(lists) == (((b"a", b"1"),), [(b"content-length", b"2")])


def test_the_oldest_are_forgotten_and_long_ones_are_not_kept() -> None:
    known = Heads()
    first = call(known, HOST).head
    assert call(known, HOST).head is first
    for number in range(heads.MOST):
        call(known, (b"x", b"%d" % number))
    assert call(known, HOST).head is not first
    long = (b"x", b"a" * heads.LONGEST)
    assert call(known, long).head is not call(known, long).head
