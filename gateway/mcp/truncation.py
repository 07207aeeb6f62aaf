"""An oversized result, cut to a valid one that says so: fewer rows first, then shorter texts, at last none of it.

Rows are the items of lists, in structured content and in texts that are JSON or a list as programs print it; of other texts,
lines. What holds neither texts nor structured content (a prompt, a question of the server) passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

MARK = "gateway/truncated"
SHORTEST = 32  # characters that are left of any text
_UNLIMITED = 1 << 60
_DEEPEST = 16
# Of a list as a program prints it: strings as a whole, and marks. A quote that nothing closes stands alone.
_PRINTED = re.compile(r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"|[\[\](){},'"]""", re.DOTALL)


def truncate(result: Mapping[str, Any], *, max_rows: int, max_bytes: int, size: int) -> Mapping[str, Any]:
    """The same object where nothing is too large. 0 is no limit. `size` is that of the result in bytes."""
    if not {"content", "contents"} & result.keys():
        return result
    cut = _Cut(max_rows or _UNLIMITED)
    kept = cut.apply(result)
    marked = cut.marked(kept) if cut.made else result
    if not max_bytes or (size if marked is result else len(orjson.dumps(marked))) <= max_bytes:
        return marked
    while cut.tighten():
        kept = cut.apply(kept)
        marked = cut.marked(kept)
        if len(orjson.dumps(marked)) <= max_bytes:
            return marked
    return _left_out(result, max_bytes, size)


class _Cut:
    """How much may stay, and what was taken away."""

    def __init__(self, rows: int) -> None:
        self._rows_left = rows
        self._characters = _UNLIMITED
        self._of = 0  # rows of the longest list that was cut
        self._longest = self._widest = 0  # list and text that stayed

    @property
    def made(self) -> bool:
        return bool(self._of) or self._characters < _UNLIMITED

    def tighten(self) -> bool:
        """Half of the rows, or where there is one of each, half of the texts; False where nothing is left to take."""
        if self._longest > 1:
            self._rows_left = self._longest // 2
        elif self._widest > SHORTEST:
            self._characters = max(SHORTEST, self._widest // 2)
        else:
            return False
        return True

    def apply(self, result: Mapping[str, Any]) -> dict[str, Any]:
        self._longest = self._widest = 0
        kept = dict(result)
        for key in ("content", "contents"):
            if isinstance(result.get(key), list):
                kept[key] = [self._block(block) for block in result[key]]
        structured = result.get("structuredContent")
        if isinstance(structured, Mapping):  # many servers repeat their one text there
            kept["structuredContent"] = {
                name: self._text(value) if isinstance(value, str) else self._tree(value)
                for name, value in structured.items()
            }
        elif structured is not None:
            kept["structuredContent"] = self._tree(structured)
        return kept

    def _block(self, block: Any) -> Any:
        if not isinstance(block, Mapping):
            return block
        if isinstance(block.get("resource"), Mapping):
            return {**block, "resource": self._block(block["resource"])}
        return {**block, "text": self._text(block["text"])} if isinstance(block.get("text"), str) else block

    def _text(self, text: str) -> str:
        try:
            tree = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._plain(text)
        if not isinstance(tree, dict | list):
            return self._plain(text)
        kept = self._tree(tree)
        return text if kept == tree else orjson.dumps(kept, option=_layout(text)).decode()

    def _plain(self, text: str) -> str:
        ends = _ends(text)
        if ends:
            kept = self._rows(ends)
            return self._short(text if kept is ends else text[: kept[-1]] + "]")
        lines = text.split("\n")
        kept_lines = self._rows(lines)
        return self._short(text if kept_lines is lines else "\n".join(kept_lines))

    def _tree(self, tree: Any, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            return tree
        if isinstance(tree, list):
            return [self._tree(value, depth + 1) for value in self._rows(tree)]
        if isinstance(tree, dict):
            return {key: self._tree(value, depth + 1) for key, value in tree.items()}
        return self._short(tree) if isinstance(tree, str) else tree

    def _rows(self, rows: list[Any]) -> list[Any]:
        if len(rows) > self._rows_left:
            self._of = max(self._of, len(rows))
            rows = rows[: self._rows_left]
        self._longest = max(self._longest, len(rows))
        return rows

    def _short(self, text: str) -> str:
        self._widest = max(self._widest, min(len(text), self._characters))
        return text[: self._characters] if len(text) > self._characters else text

    def marked(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        rows = {"rows": self._rows_left, "of": self._of} if self._of else {}
        texts = {"characters": self._characters} if self._characters < _UNLIMITED else {}
        what = [f"{self._rows_left} of {self._of} rows"] if rows else []
        what += [f"no text is longer than {self._characters} characters"] if texts else []
        said = f"[Truncated by the gateway: {', '.join(what)}. Ask for less to see the rest.]"
        return _said(kept, said, rows | texts)


def _layout(text: str) -> int:
    return orjson.OPT_INDENT_2 if "\n" in text else 0


def _ends(text: str) -> list[int]:
    """Where each item ends of a list that a program has printed; [] where the text is none."""
    ends: list[int] = []
    if not (text.startswith("[") and text.endswith("]")):
        return ends
    depth = 0
    for found in _PRINTED.finditer(text):
        mark = found[0]
        if mark in "[({":
            depth += 1
        elif mark in "])}":
            depth -= 1
        elif mark in "'\"":
            return []
        if depth == 0 or (depth == 1 and mark == ","):
            ends.append(found.start())
        if depth == 0:
            return ends if found.end() == len(text) else []
    return []


def _said(kept: Mapping[str, Any], said: str, mark: Mapping[str, int]) -> Mapping[str, Any]:
    """For who reads the text and for who reads the fields."""
    meta = kept.get("_meta")
    marked = {**kept, "_meta": {**(meta if isinstance(meta, Mapping) else {}), MARK: mark}}
    if isinstance(kept.get("content"), list):
        marked["content"] = [*kept["content"], {"type": "text", "text": said}]
    elif isinstance(kept.get("contents"), list):
        marked["contents"] = [
            {**each, "text": f"{each['text']}\n{said}"}
            if isinstance(each, Mapping) and "text" in each
            else each
            for each in kept["contents"]
        ]
    return marked


def _left_out(result: Mapping[str, Any], max_bytes: int, size: int) -> Mapping[str, Any]:
    said = (
        f"[Truncated by the gateway: the result has {size} bytes, and {max_bytes} are allowed. Ask for less.]"
    )
    mark = {"bytes": max_bytes, "of": size}
    if "content" in result:
        return _said({"content": [], "isError": True}, said, mark)
    contents = result["contents"] if isinstance(result["contents"], list) else []
    uris = [each.get("uri") for each in contents if isinstance(each, Mapping)]
    return _said({"contents": [{"uri": uri, "text": ""} for uri in uris[:1]]}, said, mark)
