import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sse

STREAM = (
    b'event: a\ndata: {"x": "\xe2\x80\xa8 line"}\n\n: comment\n\ndata: one\ndata: two\nid: 7\nretry: 10\n\n'
    b"event: b\r\ndata: crlf\r\n\r\ndata: [DONE]\n\n"
)


def frames(chunks: list[bytes]) -> list[bytes]:
    splitter = sse.Splitter()
    return [frame for chunk in chunks for frame in splitter.feed(chunk)]


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_a_stream_cut_anywhere_gives_the_same_frames(at: int) -> None:
    assert frames([STREAM[:at], STREAM[at:]]) == frames([STREAM])


@given(st.lists(st.integers(1, 9), max_size=60))
def test_pieces_of_any_size_give_the_same_frames(sizes: list[int]) -> None:
    chunks, rest = [], STREAM
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert frames([*chunks, rest]) == frames([STREAM])


def test_a_frame_is_parsed_as_the_standard_says() -> None:
    events = [sse.parse(frame) for frame in frames([STREAM])]
    assert events == [
        sse.Event("a", '{"x": "\u2028 line"}'.encode()),
        None,
        sse.Event("message", b"one\ntwo", "7", 10),
        sse.Event("b", b"crlf"),
        sse.Event("message", b"[DONE]"),
    ]


def test_an_endless_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="larger"):
        frames([b"x" * 1024 * 1024] * 20)


def test_what_is_encoded_is_parsed_back() -> None:
    assert sse.parse(sse.encode(b"{}", name="ping", id="3")) == sse.Event("ping", b"{}", "3")
