"""Names that callers invent are not remembered for ever."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from gateway import operations
from gateway.call import Call
from gateway.errors import BadRequest
from gateway.known import LONGEST, MOST, Known
from gateway.types import Message


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_what_is_worked_out_for_a_name_is_kept_for_so_many_and_for_none_that_is_long() -> None:
    found: list[str] = []

    def upper(name: str) -> str:
        found.append(name)
        return name.upper()

    known = Known(upper)
    assert [known["a"], known["a"]] == ["A", "A"]
    long = "b" * (LONGEST + 1)
    assert known[long] == known[long] == long.upper()
    assert found == ["a", long, long]
    for number in range(2 * MOST):
        assert known[str(number)] == str(number)
    assert len(known) == MOST


def test_the_parts_of_a_name_count_together() -> None:
    known: Known[tuple[str | None, str], int] = Known(len)
    assert (known[None, "a"], known["b" * LONGEST, "c"]) == (2, 2)
    assert list(known) == [(None, "a")]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    "body",
    [
        b"{%s}" % b",".join(b'"invented-%d":0' % number for number in range(50_000)),
        b'{"%s":0}' % (b"invented" * 250_000),
    ],
    ids=["many", "long"],
)
def test_the_members_that_a_body_invents_leave_no_memory_behind(body: bytes) -> None:
    operations.members(b"{}")
    before, _ = tracemalloc.get_traced_memory()
    operations.members(body)
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < 100_000


@pytest.mark.usefixtures("traced")
def test_the_headers_that_a_request_invents_leave_no_memory_behind() -> None:
    headers = [(b"x-%d-" % number + b"y" * 60_000, b"") for number in range(20)]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    Call.new(scope)
    before, _ = tracemalloc.get_traced_memory()
    Call.new({**scope, "headers": [(name + b"z", b"") for name, _ in headers]})
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < 100_000


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages",
        "/v1beta/models/{}:generateContent",
        "/v1/projects/p/locations/l/publishers/google/models/{}:generateContent",
        "/model/{}/invoke",
    ],
)
async def test_a_models_name_has_an_end_wherever_it_stands(path: str) -> None:
    async def asked(name: str) -> str:
        scope = {"type": "http", "method": "POST", "path": path.format(name), "headers": []}
        call = Call.of(scope)
        call.body = b'{"model":"%s"}' % name.encode()
        return (await operations.of(call, scope, nobody)).model

    longest = "m" * operations.LONGEST_MODEL
    assert await asked(longest) == longest
    with pytest.raises(BadRequest, match="a name of more than 2048 characters"):
        await asked(longest + "m")


async def nobody() -> Message:
    raise AssertionError("the body was read already")
