"""What models read of a text: the pieces of its segments, made once for all models that ask."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import Literal

from gateway.guards.shell_words import COMMANDS, WORDS

# Bytes in a row as a number, a word or token, or some of these in a row.
Feature = int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    tokens: Callable[[str], list[str]]
    each: Callable[[str, list[str]], Iterator[Feature]]
    width: int  # characters of a segment
    lines: bool  # whether line breaks mean something
    sparing: int  # in a text longer than this, a segment that no rule marks is not scored

    def features(self, text: str, tokens: list[str]) -> set[Feature]:
        return set(self.each(text, tokens))


class Cut:
    """A folded text in half-overlapping segments. A segment's features are its two halves'."""

    __slots__ = ("_marked", "_tokens", "bounds", "kind", "text")

    def __init__(self, text: str, kind: Kind) -> None:
        self.text = text
        self.kind = kind
        self.bounds = tuple(segments(len(text), kind.width))
        self._marked = f"\x02{text}\x03"  # so that a piece can say that it begins or ends the text
        self._tokens: dict[int, list[str]] = {}

    def piece(self, index: int) -> str:
        start, end = self.bounds[index]
        return self.text[start:end]

    def tokens(self, index: int) -> list[str]:
        found = self._tokens.get(index)
        if found is None:
            found = self._tokens[index] = self.kind.tokens(self._half(index))
        return found

    def half(self, index: int) -> Iterator[Feature]:
        """Its features one by one, some more than once: a model keeps few of them."""
        return self.kind.each(self._half(index), self.tokens(index))

    def features(self, index: int) -> set[Feature]:
        return {*self.half(index), *self.half(index + 1)}

    def _half(self, index: int) -> str:
        step = self.kind.width // 2
        return self._marked[index * step : (index + 1) * step + REACH]


REACH = 5  # into the next half, for the pieces that lie on the border


def segments(size: int, width: int) -> Iterator[tuple[int, int]]:
    """Half-overlapping windows; the last one ends with the text."""
    step = width // 2
    for start in range(0, max(1, size - step), step):
        yield start, min(size, start + width)


_WORD = re.compile(r"[a-z0']+|[^\sa-z0']")


def prose(text: str, words: list[str]) -> Iterator[Feature]:
    """Four bytes in a row, words, and pairs of words."""
    return chain(words, pairwise(words), *_grams(text, "I"))


_TOKEN = re.compile(r"[a-z_@][a-z0_]*|0+|--+|/\*|\*/|\|\||&&|\$\(|\$\{|[<>!=]+|\s+|.")


def payload(text: str, tokens: list[str]) -> Iterator[Feature]:
    """Two and four bytes in a row, and one to four tokens in a row with names and numbers reduced to their kind."""
    shapes = list(map(_shape, tokens))
    three = zip(shapes, shapes[1:], shapes[2:], strict=False)
    four = zip(shapes, shapes[1:], shapes[2:], shapes[3:], strict=False)
    return chain(shapes, pairwise(shapes), three, four, *_grams(text, "H"), *_grams(text, "I"))


def _grams(text: str, code: Literal["H", "I"]) -> Iterator[list[int]]:
    """All runs of two or four bytes as numbers: the machine reads them by the thousand, where Python would cut strings."""
    data = memoryview(text.encode("utf-8", "surrogatepass"))
    size = _SIZES[code]
    for start in range(size):
        end = len(data) - (len(data) - start) % size
        if start < end:
            yield data[start:end].cast(code).tolist()


_SIZES: dict[str, int] = {"H": 2, "I": 4}


def written(feature: Feature) -> str:
    """A feature as a line of a weights file."""
    if isinstance(feature, int):
        size = 2 if feature < 1 << 16 else 4
        return feature.to_bytes(size, sys.byteorder).decode("latin-1")
    return f"\t{feature}" if isinstance(feature, str) else "\t".join(feature)


def read(line: str) -> Feature:
    if "\t" not in line:
        return int.from_bytes(line.encode("latin-1"), sys.byteorder)
    return line[1:] if line[0] == "\t" else tuple(line.split("\t"))


# The words of SQL that keep their name among the shapes; those of shells are all the same.
_WORDS = """
select union all from where and or not null like rlike regexp between in is as on join order group by having
limit into outfile dumpfile insert update delete drop create alter table exec execute declare set cast convert
char chr concat concat_ws substr substring mid ascii ord hex unhex sleep benchmark waitfor delay pg_sleep if
case when then else end exists information_schema sysobjects database version user users admin password count
xor div mod load_file load_extension xp_cmdshell extractvalue updatexml procedure analyse begin shutdown true
false binary collate top dual shadow etc tmp bin usr system
"""
_KNOWN = frozenset(_WORDS.split())


@lru_cache(4096)  # bounded: tokens are the caller's
def _shape(token: str) -> str:
    if token in _KNOWN:
        return token
    if token in COMMANDS:
        return "C"
    if token in WORDS:
        return "W"
    if token[0] == "@" and len(token) > 1:
        return "@v"
    if token[0].isalpha() or token[0] == "_":
        return "n"
    if token[0] == "0":
        return "0"
    return " " if token.isspace() else token


KINDS = {
    "prose": Kind(_WORD.findall, prose, 800, lines=False, sparing=1 << 40),
    "descriptions": Kind(_WORD.findall, prose, 320, lines=False, sparing=1 << 40),
    "payload": Kind(_TOKEN.findall, payload, 240, lines=True, sparing=480),
}
