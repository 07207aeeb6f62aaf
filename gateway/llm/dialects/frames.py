"""JSON in server-sent events: what every reader but Bedrock's starts from, and the cheap look of a watcher."""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway import sse


class Garbage(ValueError):
    """The upstream sent a frame that is not JSON (or not an object)."""


class JsonFrames:
    """Bytes in any pieces -> `(event name, object)`; `[DONE]` is an object with the one key `done`."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = sse.Splitter()

    def feed(self, chunk: bytes) -> list[tuple[str, dict[str, Any]]]:
        return self._decode(self._splitter.feed(chunk))

    def end(self) -> list[tuple[str, dict[str, Any]]]:
        """A last frame whose blank line never came."""
        rest, self._splitter.rest = self._splitter.rest, b""
        return self._decode([rest]) if rest.strip() else []

    def _decode(self, frames: list[bytes]) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for frame in frames:
            event = sse.parse(frame)
            if event is not None and event.data:
                found.append((event.name, load(event.data)))
        return found


def load(data: bytes) -> dict[str, Any]:
    if data.strip() == b"[DONE]":
        return {"done": True}
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Garbage("the upstream sent an event that is not JSON") from error
    if not isinstance(value, dict):
        raise Garbage("the upstream sent an event that is not a JSON object")
    return value


_BREAKS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


def one_line(value: Any) -> bytes:
    """JSON without the three letters at which Python's line decoders (httpx, and so google-genai) cut an event in two."""
    data = orjson.dumps(value)
    if b"\xe2\x80" in data or b"\xc2\x85" in data:
        for letter, escaped in _BREAKS:
            data = data.replace(letter, escaped)
    return data


# Each begins with fixed letters: such a pattern is found ten times as fast as a choice.
Marks = tuple[re.Pattern[bytes], ...]


class Sieve:
    """Of a stream that passes untouched, only the frames in which one of the marks stands."""

    __slots__ = ("_marks", "_rest")

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the marked frames that this chunk completes."""
        return marked(self.whole(chunk), self._marks)

    def whole(self, chunk: bytes) -> bytes:
        """The bytes of all frames that this chunk completes."""
        data = self._rest + chunk if self._rest else chunk
        cut = _after(data, 0, len(data))
        self._rest = data[cut:]
        if len(self._rest) > sse.LIMIT:
            self._rest = b""  # not ours to refuse: the bytes pass anyway
        return data[:cut]


def marked(frames: bytes, marks: Marks) -> list[bytes]:
    """The data of those frames in which a mark stands, in their order."""
    found, end = [], 0
    for place in sorted(match.start() for mark in marks for match in mark.finditer(frames)):
        if place >= end:  # else of a frame that is found already
            frame, end = frame_at(frames, place, end)
            event = sse.parse(frame)
            if event is not None:
                found.append(event.data)
    return found


def frame_at(frames: bytes, place: int, begin: int = 0) -> tuple[bytes, int]:
    """The frame around this place, and where it ends; it begins after `begin`."""
    blank = _BLANK.search(frames, place)
    end = blank.end() if blank else len(frames)
    return frames[_after(frames, begin, place) : end], end


_BLANK = re.compile(rb"\n\r?\n")


def _after(data: bytes, begin: int, end: int) -> int:
    """Where the last frame that is whole between the two ends; `begin` without one."""
    for mark in (b"\n\n", b"\n\r\n"):
        at = data.rfind(mark, begin, end)
        if at >= 0:
            begin = at + len(mark)
    return begin
