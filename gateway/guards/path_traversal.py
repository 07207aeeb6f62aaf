"""Paths that climb out: decoded as hostile servers decode them, then walked segment by segment.

A value that *is* a path is judged by where it leads: `/workspace/a/../b` stays inside and passes, `/workspace/../etc` leaves.
In prose or code, where `../` is ordinary, only a climb to a well-known target, an encoded one, or one in the path of a URL is
one. What is JSON is read as JSON: a string under the name of a path is a path.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from gateway.guards import path_shapes as shapes
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample, shown


class PathTraversal:
    name = "path_traversal"
    threshold = 0.5

    def scan(self, sample: Sample) -> list[Finding]:
        text = sample.text
        perhaps = "." in text or "%" in text or "/" in text or "\\" in text
        found = [
            Finding(self.name, rule, start, end, score, shown(text, start, end))
            for rule, start, end, score in (self._verdicts(text) if perhaps else ())
        ]
        if not found:
            found += [self._decoded(view) for view in sample.views[1:] if _blob_climbs(view)]
        return found

    def _decoded(self, view: View) -> Finding:
        excerpt = shown(view.text, 0, len(view.text))
        return Finding(self.name, "encoded_climb", view.start, view.end, 0.8, excerpt, view.how)

    def _verdicts(self, text: str) -> Iterator[tuple[str, int, int, float]]:
        plain = canonical(text)
        inner = shapes.GAPS.sub("", text).strip()
        prose = len(text) > 1024 or bool(
            (shapes.LINES if shapes.BEGINS.match(inner) else shapes.PROSE).search(inner)
        )
        if (not prose and plain) or (not inner.count(" ") and shapes.ELSEWHERE.match(plain)):
            yield from self._written(text)
            yield from self._value(text, plain)
            return
        for value in _paths_in(inner):
            for rule, _, _, score in self._value(value, canonical(value)):
                yield rule, *_place(text, value), score
        yield from self._content(text, plain)

    def _written(self, text: str) -> Iterator[tuple[str, int, int, float]]:
        """What only attacks write, wherever it leads."""
        if "%" not in text and "\\x" not in text:
            return
        if overlong := shapes.OVERLONG.search(text):
            yield "overlong_encoding", overlong.start(), len(text), 0.95
        needless = shapes.NEEDLESS.search(text) if len(text) < 1024 else None
        if written := shapes.ENCODED_DOTS.search(text) or needless:
            yield "encoded_path", written.start(), len(text), 0.9

    def _value(self, text: str, plain: str) -> Iterator[tuple[str, int, int, float]]:
        if "\x00" in plain:
            yield "null_byte", 0, len(text), 0.9
        if (climbs(plain) and not shapes.OWN.match(plain)) or shapes.JOINED.match(plain):
            yield "leaves_its_directory", 0, len(text), 0.9
        if shapes.DOTTED.search(plain):
            yield "dotted_segments", 0, len(text), 0.8
        elif "%" in text and ("../" in plain or "/.." in plain):
            yield "encoded_climb", 0, len(text), 0.8
        bare = plain.removeprefix("file://")
        climbing = ".." in plain and shapes.SENSITIVE.search(plain)
        if (
            climbing
            or shapes.ABSOLUTE.match(bare)
            or shapes.LEAF.search(plain)
            or shapes.ELSEWHERE.match(bare)
        ):
            yield "sensitive_file", 0, len(text), 0.7

    def _content(self, text: str, plain: str) -> Iterator[tuple[str, int, int, float]]:
        for path in shapes.PROSE.split(plain) if "../" in plain or "file:" in plain else ():
            if ("../" in path and _lands_in_system(path)) or shapes.FILE.match(path):
                yield "climb_to_sensitive_file", *_place(text, path), 0.8
        overlong = ("%" in text or "\\x" in text) and shapes.OVERLONG.search(text)
        if (".." in plain or overlong) and len(text) <= shapes.LONGEST_PROSE:
            yield from self._words(text)
        for match in shapes.REQUESTED.finditer(text) if ".." in plain else ():
            word = shapes.PROSE.split(text[match.end() :], maxsplit=1)[0]
            if climbs(canonical(word.partition("?")[0])):
                yield "leaves_its_root", match.end(), match.end() + len(word), 0.8

    def _words(self, text: str) -> Iterator[tuple[str, int, int, float]]:
        for word in set(shapes.PROSE.split(text)):
            if shapes.MANY_DOTS.search(word):
                yield "dotted_segments", *_place(text, word), 0.8
            if not shapes.DISGUISED.search(word):
                continue
            path = canonical(word)
            if not shapes.NAME.search(path):
                continue  # named, as documentation does, but leading nowhere
            yield from ((rule, *_place(text, word), score) for rule, _, _, score in self._written(word))
            if path != word.replace("\\", "/") and shapes.CLIMB.search(path):
                yield "encoded_climb", *_place(text, word), 0.8


def _lands_in_system(path: str) -> bool:
    """Whether a path climbs to where a system's files are, or further than any project is deep."""
    kept: list[str] = []
    up = 0
    for segment in path.split("/"):
        if segment.rstrip(" ;?") == "..":
            up += not kept
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    rest = "/".join(kept)
    if shapes.SENSITIVE.search(rest) or up >= shapes.FURTHER:
        return True
    return bool(
        (up > 1 and shapes.SYSTEM.match(rest)) or (up >= shapes.FAR and shapes.FAR_SYSTEM.match(rest))
    )


def _blob_climbs(view: View) -> bool:
    return view.how.startswith(("base64", "hex")) and climbs(canonical(view.text))


def _paths_in(text: str) -> Iterator[str]:
    """The strings of a JSON object that stand under the name of a path. One step up is how configurations point at a neighbour."""
    if not text.startswith("{") or ".." not in canonical(text) or len(text) > shapes.LONGEST_PROSE:
        return
    try:
        frames: list[Any] = [orjson.loads(text)]
    except orjson.JSONDecodeError:
        return
    while frames:
        value = frames.pop()
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, str) and len(item) < 1024:
                named = not isinstance(key, str) or key.lower() in shapes.NAMED
                if named and canonical(item).count("..") > 1:
                    yield item
            elif isinstance(item, dict | list):
                frames.append(item)


def _place(text: str, path: str) -> tuple[int, int]:
    at = text.find(path)
    return (at, at + len(path)) if at >= 0 else (0, len(text))


def canonical(text: str) -> str:
    """One spelling: bytes unquoted until nothing changes, look-alikes as what they stand for, `/` only."""
    for _ in range(4):
        before = text
        if "0x" in text or "0X" in text or "\\" in text:
            text = shapes.BYTE.sub(lambda m: chr(int(m[1], 16)), text)
        if "&#" in text:
            text = html.unescape(text)
        if "%" in text or "\\" in text:
            text = shapes.WIDE.sub(lambda m: chr(int(m[1], 16)), text)
            text = shapes.OCTAL.sub(lambda m: chr(int(m[1], 8)), text)
        if "%" in text:
            text = unquote_to_bytes(text).decode("utf-8", "replace")
        if text == before:
            break
    text = shapes.GAPS.sub("", text).translate(shapes.SLASHES)
    if ".." in text:
        text = shapes.BARE.sub("/", text)
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(shapes.SLASHES)


def climbs(path: str) -> bool:
    """Whether a path leads out of where it starts: a relative one above its base, an absolute one out of its first directory."""
    web = path[:8].lower().startswith(("http://", "https://"))  # its root is no one's directory
    absolute = path.startswith("/") or ("://" in path[:16] and not web) or path[1:3] == ":/"
    if "://" in path[:16]:
        path = path.split("://", 1)[1].partition("/")[2] if not path.startswith("file://") else path[7:]
    depth, deepest = 0, 0
    for segment in path.split("/"):
        if segment in ("", "."):
            continue
        if re.fullmatch(r"\.\.[\x00-\x20;?]*", segment) or re.fullmatch(r"\.{2}(?:;.*)?", segment):
            depth -= 1
            if depth < (1 if absolute and deepest else 0):
                return True
        else:
            depth += 1
            deepest = max(deepest, depth)
    return False


SCANNER = PathTraversal()
