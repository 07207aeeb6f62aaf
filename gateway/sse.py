"""Server-sent events as bytes: frames are cut at blank lines only, whatever pieces the bytes arrive in."""

from __future__ import annotations

import re

from msgspec import Struct

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")  # never str.splitlines: JSON may hold U+2028
LIMIT = 16 * 1024 * 1024


class Event(Struct, frozen=True):
    name: str
    data: bytes
    id: str | None = None
    retry: int | None = None


class Splitter:
    """Cuts a byte stream into whole frames. The frames joined, and `rest`, are the bytes that came in."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        data = self.rest + chunk if self.rest else chunk
        frames, start = [], 0
        for match in _END.finditer(data, max(0, len(self.rest) - 3)):
            frames.append(data[start : match.end()])
            start = match.end()
        self.rest = data[start:]
        if len(self.rest) > LIMIT:
            raise ValueError("an event is larger than this gateway accepts")
        return frames


def parse(frame: bytes) -> Event | None:
    """The event of one frame; None where it holds only comments."""
    name, data, ident, retry = "message", [], None, None
    for line in _LINE.split(frame.removeprefix(b"\xef\xbb\xbf")):
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            data.append(value)
        elif key == b"event":
            name = value.decode("utf-8", "replace")
        elif key == b"id":
            ident = value.decode("utf-8", "replace")
        elif key == b"retry" and value.isdigit():
            retry = int(value)
    if not data and ident is None and retry is None:
        return None
    return Event(name, b"\n".join(data), ident, retry)


def encode(data: bytes, *, name: str = "", id: str = "") -> bytes:
    """One frame. The data is JSON, and so has no line breaks of its own."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    tail = b"id: " + id.encode() + b"\n" if id else b""
    return head + tail + b"data: " + data + b"\n\n"
