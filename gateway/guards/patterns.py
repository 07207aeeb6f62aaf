"""Many linear-time patterns in one pass: google-re2 says which could match, and only those are searched for their place.

Most bodies hold nothing that any pattern is looking for, and a `Sieve` can say so of a whole one without taking it apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from gateway.errors import ConfigError

FEW, MANY = 16 * 1024, 512 * 1024  # bytes of a body that is worth a sieve: always, and if it holds words
_BACKSLASH = 0x5C  # a number is found sooner: asked for bytes, Python first finds out that they are none
MEMORY = 64 << 20  # bytes for the automaton's states; they are made as texts need them


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule matched: its first group where it has one, the whole match otherwise."""

    rule: str
    start: int
    end: int


def _options() -> Any:
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    return options


# What can match at the edge of a text and nowhere else: such a pattern would miss it where texts are joined.
_EDGE = re.compile(r"\^|\$|\\[AzB]")


def _edged(pattern: str) -> bool:
    return _EDGE.search(pattern.replace("[^", "[")) is not None


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern; None where nothing is."""
    try:
        re2.compile(pattern, _options())
    except re2.error as error:
        return f"{pattern!r} is no RE2 pattern: {_said(error)}"
    return None


class Patterns:
    """`Patterns({"name": r"expression"})`. Expressions follow RE2: no look-around, no back-references.

    Of many, `by_words` tells in one pass which words of the expressions a text holds, and tries an expression only where its
    own are there: an automaton of them all would have states by the ten thousand, and grow for long. The rest share one.
    `needs` says shorter, of a rule whose words are in every text, what it cannot match without.
    """

    def __init__(
        self, rules: Mapping[str, str], *, by_words: bool = False, needs: Mapping[str, str] | None = None
    ) -> None:
        self.names = tuple(rules)
        options, wrong = _options(), []
        self._words = re2.Filter() if by_words else None
        self._each: list[Any] = []
        for name, pattern in rules.items():
            try:
                self._each.append(
                    self._words.Add(pattern, options) if self._words else re2.compile(pattern, options)
                )
            except re2.error:
                wrong.append(f"{name}: {fault(pattern)}")
        if wrong:
            raise ConfigError("\n".join(wrong))
        self._wordless = list(range(len(rules)))
        if self._words:
            self._words.Compile()
            self._each = list(map(self._words.re, self._wordless))
            self._wordless = self._words.Match("", potential=True) or []
        self._set = _together([rules[self.names[index]] for index in self._wordless])
        self._needing = [self.names.index(name) for name in needs or ()]
        self._needs = _together((needs or {}).values())
        self.joinable = not any(_edged(pattern) for pattern in rules.values())

    def _told(self, data: bytes) -> tuple[list[int], list[int]]:
        """The indices of the rules that match, and of those that may, for their words are there."""
        certain = [self._wordless[found] for found in self._set.Match(data) or ()] if self._wordless else []
        perhaps = self._words.Match(data, potential=True) or () if self._words else ()
        barred = set(self._wordless)
        if not barred.issuperset(perhaps) and self._needing:
            barred.update(self._needing)
            barred.difference_update([self._needing[found] for found in self._needs.Match(data) or ()])
        return certain, [index for index in perhaps if index not in barred]

    def which(self, text: str) -> list[int]:
        """The indices of the rules that match somewhere."""
        data = text.encode("utf-8", "surrogatepass")
        certain, perhaps = self._told(data)
        return sorted(certain + [index for index in perhaps if self._each[index].search(data)])

    def none_in(self, texts: Sequence[str]) -> bool:
        """Whether certainly nothing matches in any of these: one pass over all of them, which prompts rarely go beyond."""
        return not self.names or (self.joinable and not self.which("\n".join(texts)))

    def names_in(self, text: str) -> list[str]:
        return [self.names[index] for index in self.which(text)]

    def matching(self, text: str) -> list[tuple[str, Any]]:
        """The names and the expressions of the rules that match somewhere."""
        return [(self.names[index], self._each[index]) for index in self.which(text)]

    def find(self, text: str) -> Iterator[Hit]:
        """Every hit, rule by rule. The next search begins where a hit's group ends, so what surrounds it may serve twice."""
        data = text.encode("utf-8", "surrogatepass")
        certain, perhaps = self._told(data)
        for index in sorted(certain + perhaps):
            yield from self._search(index, data, plain=len(data) == len(text))

    def _search(self, index: int, data: bytes, *, plain: bool) -> Iterator[Hit]:
        name, pattern = self.names[index], self._each[index]
        group = 1 if pattern.groups else 0
        pos = chars = counted = 0  # `chars` characters stand before byte `counted`
        while (match := pattern.search(data, pos)) is not None:
            start, end = match.span(group)
            pos = max(end, pos + 1)
            if plain:
                yield Hit(name, start, end)
            else:
                chars += _length(data, counted, start)
                counted = start
                yield Hit(name, chars, chars + _length(data, start, end))
            if pos > len(data):
                return


def _together(patterns: Iterable[str]) -> Any:
    found = re2.Set.SearchSet(_options())
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


class Sieve:
    """`Sieve([r"expression"]).passes(text)`, of a JSON text as orjson writes it: True where certainly no string of it matches.

    With its escapes undone, a JSON text holds each of its strings as it is, between quotes, which belong to no word. So what
    matches in a string matches in the text, unless it asks for the string's edge; what matches in the text may be a key.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._set = _together(patterns)

    def passes(self, text: bytes) -> bool:
        if not (len(text) < FEW or _wordy(text)):
            return False
        if _BACKSLASH in text:
            # Latin-1 takes the bytes beyond ASCII there and back.
            text = text.decode("unicode_escape").encode("latin-1")
        return self._set.Match(text) is None


def _wordy(text: bytes) -> bool:
    """Pictures are long and hold no spaces: a body of them is sooner taken apart, for no pattern looks into them."""
    sample = text[::499]
    return len(text) < MANY and sample.count(b" ") * 32 > len(sample)


def _length(data: bytes, start: int, end: int) -> int:
    return len(data[start:end].decode("utf-8", "replace"))


def _said(error: BaseException) -> str:
    said = error.args[0] if error.args else error
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
