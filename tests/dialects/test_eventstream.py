"""AWS event-stream frames: botocore reads what we write, and we read what it reads."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from gateway.llm.dialects.eventstream import Frame, Splitter, encode

words = st.text(max_size=30)
headers = st.dictionaries(st.text(min_size=1, max_size=20), words, max_size=4)
frames = st.lists(st.tuples(headers, st.binary(max_size=80)), max_size=4)


def joined(given: list[tuple[dict[str, str], bytes]]) -> bytes:
    return b"".join(encode(payload, headers=tuple(named.items())) for named, payload in given)


@given(frames)
def test_botocore_reads_what_is_written(given: list[tuple[dict[str, str], bytes]]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(joined(given))
    assert [(message.headers, message.payload) for message in buffer] == given


@given(frames, st.integers(1, 40))
def test_frames_are_read_in_any_pieces(given: list[tuple[dict[str, str], bytes]], size: int) -> None:
    data, splitter = joined(given), Splitter()
    found = [frame for at in range(0, len(data), size) for frame in splitter.feed(data[at : at + size])]
    assert found == [Frame(named, payload) for named, payload in given]
    assert splitter.rest == b""


def test_every_split_gives_the_same_frames() -> None:
    data = joined([({":event-type": "chunk"}, b"one"), ({":event-type": "chunk"}, b"two")])
    whole = Splitter().feed(data)
    for at in range(len(data)):
        splitter = Splitter()
        assert splitter.feed(data[:at]) + splitter.feed(data[at:]) == whole


def packed(head: bytes, payload: bytes = b"x") -> bytes:
    lengths = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    frame = lengths + struct.pack(">I", crc32(lengths)) + head + payload
    return frame + struct.pack(">I", crc32(frame))


def test_headers_of_other_types_are_stepped_over() -> None:
    head = (
        b"\x01a\x00"
        + b"\x01b\x04\x00\x00\x00\x05"
        + b"\x01c\x06\x00\x02hi"
        + b"\x01d\x08"
        + bytes(8)
        + b"\x01e\x07\x00\x01z"
    )
    (frame,) = Splitter().feed(packed(head))
    assert frame.headers == {"e": "z"}
    buffer = EventStreamBuffer()
    buffer.add_data(packed(head))
    assert next(buffer).headers["e"] == "z"


GOOD = encode(b"payload", headers=((":event-type", "chunk"),))
BROKEN = {
    "a flipped bit in the prelude": bytes([GOOD[0] ^ 1]) + GOOD[1:],
    "a flipped bit in the payload": GOOD[:-6] + bytes([GOOD[-6] ^ 1]) + GOOD[-5:],
    "no event stream at all": b"HTTP/1.1 502 Bad Gateway\r\n",
    "a header of an unknown type": packed(b"\x01a\x0a"),
    "a header that ends early": packed(b"\x05a"),
    "a header longer than the headers": packed(b"\x01a\x07\x00\xffx"),
    "a payload too large": struct.pack(">II", 2**31, 0)
    + struct.pack(">I", crc32(struct.pack(">II", 2**31, 0))),
    "headers longer than the frame": struct.pack(">II", 16, 9)
    + struct.pack(">I", crc32(struct.pack(">II", 16, 9))),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="event-stream frame"):
        Splitter().feed(data)


@given(st.binary(max_size=60))
def test_no_bytes_do_worse_than_be_refused(data: bytes) -> None:
    try:
        Splitter().feed(data)
    except ValueError as refused:
        assert "event-stream" in str(refused)  # noqa: PT017
