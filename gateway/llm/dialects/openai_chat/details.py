"""OpenRouter's reasoning: a list of items, some of them signed or sealed, that must come back as it was.

In the hub the whole list is the signature of a thinking block, `or1.` and base64. A stream brings the items in pieces.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.llm.dialects import signatures
from gateway.llm.dialects.protocol import Json

_GROWING = ("text", "summary", "data")


class Details:
    """The items of one answer that no signature holds yet."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[Json] = []

    def add(self, pieces: Iterable[Json]) -> None:
        for piece in pieces:
            last = self._items[-1] if self._items else {}
            if all(last.get(key) == piece.get(key) for key in ("type", "index")):
                _grow(last, piece)
            else:
                self._items.append(dict(piece))

    def take(self) -> str:
        """The signature of everything so far; empty where there is nothing to send back."""
        items, self._items = self._items, []
        if not any(item.get(key) for item in items for key in (*_GROWING, "signature")):
            return ""
        return signatures.OPENROUTER + base64.b64encode(orjson.dumps(items)).decode()


def _grow(item: Json, piece: Json) -> None:
    for key, value in piece.items():
        if key in _GROWING and item.get(key) and value:
            item[key] += value
        elif value is not None and value != "":
            item[key] = value


def shown(pieces: Iterable[Json]) -> str:
    """What of them is for people."""
    return "".join(piece.get("text") or piece.get("summary") or "" for piece in pieces)


def items_of(block: Json) -> list[Any]:
    """The items of a thinking block that was signed so; none of any other."""
    signed = signatures.signature(block)
    if not signed.startswith(signatures.OPENROUTER):
        return []
    try:
        items = orjson.loads(base64.b64decode(signed.removeprefix(signatures.OPENROUTER)))
    except (binascii.Error, orjson.JSONDecodeError):
        return []
    return items if isinstance(items, list) else []
