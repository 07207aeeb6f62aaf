"""Watching streams of OpenAI's two wires that pass untouched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.frames import Marks, Sieve, load
from gateway.llm.dialects.protocol import ErrorInfo, Json
from gateway.metering.usage import Usage


class Watcher:
    """Decodes the frames in which `marks` stand; `look` notes what one of them says."""

    __slots__ = ("_look", "_sieve", "error", "finished", "stop_reason", "usage")

    def __init__(self, marks: Marks, look: Callable[[Watcher, Json], None]) -> None:
        self._sieve = Sieve(marks)
        self._look = look
        self.usage: Usage | None = None
        self.stop_reason = ""
        self.finished = False
        self.error: ErrorInfo | None = None

    def feed(self, chunk: bytes) -> None:
        for data in self._sieve.feed(chunk):
            with suppress(*MISSHAPEN):  # not ours to judge: it passes
                self._look(self, load(data))


def usage_of(answer: bytes, read: Callable[[Mapping[str, Any] | None], Usage | None]) -> Usage | None:
    """The figures of a whole answer: both wires put them in the same place."""
    with suppress(*MISSHAPEN):
        return read(orjson.loads(answer).get("usage"))
    return None
