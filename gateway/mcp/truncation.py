"""An oversized result, cut to a valid one that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

MARK = "gateway/truncated"


def truncate(result: Mapping[str, Any], *, max_rows: int, max_bytes: int, size: int) -> Mapping[str, Any]:
    """The same object where nothing is too large. 0 is no limit. `size` is that of the result in bytes."""
    cut = _Cut()
    kept: Mapping[str, Any] = result
    if max_rows:
        kept = _with_rows(kept, max_rows, cut)
    rows = max_rows or cut.longest(kept)
    if max_bytes and (size > max_bytes or cut.made):
        size = len(orjson.dumps(kept))
        while size > max_bytes and rows > 1:
            rows = max(1, min(rows, cut.longest(kept)) // 2)
            kept = _with_rows(kept, rows, cut)
            smaller = len(orjson.dumps(kept))
            if smaller >= size and rows == 1:
                break
            size = smaller
        if size > max_bytes:
            return _too_large(result, max_bytes, size)
    return _marked(kept, cut) if cut.made else result


class _Cut:
    """What was taken away."""

    def __init__(self) -> None:
        self.made = False
        self.of = 0
        self.kept = 0

    def rows(self, rows: list[Any], most: int) -> list[Any]:
        if len(rows) <= most:
            return rows
        self.made = True
        self.of = max(self.of, len(rows))
        self.kept = most
        return rows[:most]

    def longest(self, result: Mapping[str, Any]) -> int:
        lists = _Longest()
        _with_rows(result, lists.most, lists)
        return lists.found


class _Longest(_Cut):
    """Cuts nothing, and remembers the longest list."""

    most = 1 << 60

    def __init__(self) -> None:
        super().__init__()
        self.found = 1

    def rows(self, rows: list[Any], most: int) -> list[Any]:
        self.found = max(self.found, len(rows))
        return rows


def _with_rows(result: Mapping[str, Any], most: int, cut: _Cut) -> Mapping[str, Any]:
    kept = dict(result)
    content = result.get("content")
    if isinstance(content, list):
        kept["content"] = [_block(block, most, cut) for block in content]
    if "structuredContent" in result:
        kept["structuredContent"] = _lists(result["structuredContent"], most, cut)
    return kept


def _block(block: Any, most: int, cut: _Cut) -> Any:
    if not isinstance(block, Mapping) or not isinstance(block.get("text"), str):
        return block
    text = block["text"]
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        tree = None
    if isinstance(tree, dict | list):
        kept = _lists(tree, most, cut)
        return block if kept == tree else {**block, "text": orjson.dumps(kept, option=_layout(text)).decode()}
    lines = text.split("\n")
    kept_lines = cut.rows(lines, most)
    return block if kept_lines is lines else {**block, "text": "\n".join(kept_lines)}


def _layout(text: str) -> int:
    return orjson.OPT_INDENT_2 if "\n" in text else 0


def _lists(tree: Any, most: int, cut: _Cut, depth: int = 0) -> Any:
    if depth > 16:
        return tree
    if isinstance(tree, list):
        return [_lists(value, most, cut, depth + 1) for value in cut.rows(tree, most)]
    if isinstance(tree, dict):
        return {key: _lists(value, most, cut, depth + 1) for key, value in tree.items()}
    return tree


def _marked(kept: Mapping[str, Any], cut: _Cut) -> Mapping[str, Any]:
    said = f"[Truncated by the gateway: {cut.kept} of {cut.of} rows. Ask for less to see the rest.]"
    content = kept.get("content")
    blocks = (
        [*content, {"type": "text", "text": said}]
        if isinstance(content, list)
        else [{"type": "text", "text": said}]
    )
    meta = kept.get("_meta")
    marks = {**(meta if isinstance(meta, Mapping) else {}), MARK: {"rows": cut.kept, "of": cut.of}}
    return {**kept, "content": blocks, "_meta": marks}


def _too_large(result: Mapping[str, Any], max_bytes: int, size: int) -> Mapping[str, Any]:
    """Nothing that can be cut makes it fit: its texts are cut, where texts are all that it has, else it is left out."""
    said = (
        f"[Truncated by the gateway: the result has {size} bytes, and {max_bytes} are allowed. Ask for less.]"
    )
    mark = {MARK: {"bytes": max_bytes, "of": size}}
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else None
    if (
        "structuredContent" in result
        or not isinstance(first, Mapping)
        or not isinstance(first.get("text"), str)
    ):
        return {"content": [{"type": "text", "text": said}], "isError": True, "_meta": mark}
    room = max(0, max_bytes - len(said) - 200)
    text = first["text"].encode()[:room].decode("utf-8", "ignore")
    while len(orjson.dumps(text)) > room and text:
        text = text[: len(text) * room // (len(orjson.dumps(text)) + 1)]
    kept = [{**first, "text": text}, {"type": "text", "text": said}]
    return {**result, "content": kept, "_meta": mark}
