"""AWS event-stream frames, read incrementally and written.

A frame is a prelude (total length, header length, checksum of both), typed headers, the payload, and a checksum over
all of it. Frames and TCP segments have nothing to do with each other, so `Splitter` keeps what is incomplete.
The headers of one stream repeat in nearly every frame; decoding them is remembered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_STRING, _BYTES = 7, 6
_WIDTHS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # value types of fixed size
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size
MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """`headers` holds the headers of type string; the other types occur in no stream that we read."""

    headers: Mapping[str, str]
    payload: bytes


class Splitter:
    """Cuts bytes into frames. Raises ValueError where the bytes are no event stream."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[Frame]:
        data = self.rest + chunk if self.rest else chunk
        frames, start = [], 0
        while len(data) - start >= _PRELUDE.size:
            total = _length(data, start)
            if len(data) - start < total:
                break
            frames.append(_frame(data, start, total))
            start += total
        self.rest = data[start:]
        return frames


def _length(data: bytes, start: int) -> int:
    total, headers, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(data[start : start + 8]) != checksum:
        raise ValueError("the prelude of an event-stream frame has a wrong checksum")
    payload = total - headers - _OVERHEAD
    if headers > MAX_HEADERS or not 0 <= payload <= MAX_PAYLOAD:
        raise ValueError("an event-stream frame has impossible lengths")
    return int(total)


def _frame(data: bytes, start: int, total: int) -> Frame:
    end = start + total - _CHECKSUM.size
    if crc32(data[start:end]) != _CHECKSUM.unpack_from(data, end)[0]:
        raise ValueError("an event-stream frame has a wrong checksum")
    body = start + _PRELUDE.size
    split = body + _PRELUDE.unpack_from(data, start)[1]
    return Frame(_headers(data[body:split]), data[split:end])


@lru_cache(maxsize=256)
def _headers(data: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            at = name_end + 1
            if kind in (_STRING, _BYTES):
                size = int.from_bytes(data[at : at + 2], "big")
                at += 2
                if kind == _STRING:
                    found[name] = data[at : at + size].decode()
            else:
                size = _WIDTHS[kind]
            at += size
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError("an event-stream frame has broken headers") from error
    if at != len(data):
        raise ValueError("an event-stream frame has broken headers")
    return found


@lru_cache(maxsize=64)
def _encoded(headers: tuple[tuple[str, str], ...]) -> bytes:
    parts = []
    for name, value in headers:
        raw_name, raw = name.encode(), value.encode()
        parts.append(bytes([len(raw_name)]) + raw_name + b"\x07" + len(raw).to_bytes(2, "big") + raw)
    return b"".join(parts)


def encode(payload: bytes, *, headers: tuple[tuple[str, str], ...]) -> bytes:
    """One frame; every header is a string."""
    head = _encoded(headers)
    lengths = struct.pack(">II", _OVERHEAD + len(head) + len(payload), len(head))
    frame = lengths + _CHECKSUM.pack(crc32(lengths)) + head + payload
    return frame + _CHECKSUM.pack(crc32(frame))
