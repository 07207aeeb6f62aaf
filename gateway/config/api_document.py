"""An OpenAPI document that the file names: read with it, so that what is wrong with it stands among the file's own problems."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gateway.config import tree
from gateway.config.schema import Json, Reading, Text
from gateway.config.tree import List, Map, Node, Scalar

LARGEST = 16 * 1024 * 1024  # characters
MOST = 2_000_000  # values, where an anchor counts as often as it is used
DEEPEST = 200
_BOOLEANS = {"true": True, "false": False}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LONGEST = 20  # characters of what fits 64 bits
_FITTING = range(-(2**63), 2**64)


class ApiDocument(Struct, frozen=True):
    """The path of a document in JSON or YAML, relative to the file; what is read is the document."""

    def read(self, node: Node, where: str, reading: Reading) -> dict[str, Any] | None:
        name = Text().read(node, where, reading)
        if name is None:
            return None
        try:
            if name.startswith(("http://", "https://")):
                raise ValueError("must be a file beside this one: what is served elsewhere may change unseen")
            return _document(name, reading.file(name))
        except ValueError as error:
            reading.wrong(node, where, str(error))
            return None

    def json(self) -> Json:
        return {"type": "string"}


def _document(name: str, text: str) -> dict[str, Any]:
    """Raises ValueError."""
    if len(text) > LARGEST:
        raise ValueError(f"{name} has {len(text)} characters, and {LARGEST} are the most")
    text = text.removeprefix("\ufeff")
    found = _json(name, text) if text.lstrip().startswith("{") else _yaml(name, text)
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no OpenAPI document: it must be an object")
    return found


def _json(name: str, text: str) -> Any:
    import orjson

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{name}:{error.lineno}: not JSON: {error.msg}") from None


def _yaml(name: str, text: str) -> Any:
    try:
        node = tree.read(text)
        return None if node is None else _value(node, itertools.count(), 0)
    except tree.NotYaml as error:
        raise ValueError(f"{name}:{error.line}: not YAML: {error.text}") from None
    except ValueError as error:
        raise ValueError(f"{name}:{error}") from None


def _value(node: Node, counted: Iterator[int], depth: int) -> Any:
    if next(counted) > MOST or depth > DEEPEST:
        raise ValueError(f"{node.line}: too large, or its anchors are inside of each other")
    if isinstance(node, List):
        return [_value(each, counted, depth + 1) for each in node.items]
    if isinstance(node, Map):
        return _object(node, counted, depth)
    return _scalar(node)


def _object(node: Map, counted: Iterator[int], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in node.pairs:
        if key.text in out:
            raise ValueError(f"{key.line}: {key.text} stands twice")
        if key.text == "<<":
            raise ValueError(f"{key.line}: << is nothing that JSON has; write out what it merges")
        out[key.text] = _value(value, counted, depth + 1)
    return out


def _scalar(node: Scalar) -> Any:
    """As YAML 1.2 and OpenAPI mean it: `on` and a date are texts."""
    kind, text = node.tag.rpartition(":")[2], node.text
    if kind == "null":
        return None
    if kind == "bool":
        return _BOOLEANS.get(text.lower(), text)
    if kind not in ("int", "float") or not _NUMBER.fullmatch(text):
        return text
    whole = int(text) if kind == "int" and len(text) <= _LONGEST else None
    return float(text) if whole is None or whole not in _FITTING else whole
