"""The arguments of a tool call, even where the answer was cut inside them."""

from __future__ import annotations

import re
from typing import Any

import orjson

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],]', re.S)
_CLOSER = {"{": "}", "[": "]"}


def parse(text: str) -> Any:
    """The JSON value; of an unfinished one what was complete: the last, unfinished entry is left out."""
    if not text.strip():
        return {}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _longest(text)


def _longest(text: str) -> Any:
    """Cut back to the last place where closing every open bracket gives JSON."""
    for at, closers in reversed(_places(text)):
        try:
            return orjson.loads(text[:at] + closers)
        except orjson.JSONDecodeError:
            continue
    return {}


def _places(text: str) -> list[tuple[int, str]]:
    """Where a value may have ended, and the brackets open there."""
    places, open_ = [], ""
    for token in _TOKEN.finditer(text):
        char = token[0]
        if char in _CLOSER:
            open_ = _CLOSER[char] + open_
            places.append((token.end(), open_))
        elif char in ("}", "]"):
            open_ = open_[1:]
            places.append((token.end(), open_))
        elif char == ",":
            places.append((token.start(), open_))
    return places
