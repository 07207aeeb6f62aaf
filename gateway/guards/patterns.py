"""Many linear-time patterns in one pass: one google-re2 set says which match, and only those are searched for their place.

Most bodies hold nothing that any pattern is looking for, and a `Sieve` can say so of a whole one without taking it apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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

    `together` of them share an automaton. The more do, the quicker it reads, but the longer it takes to grow on its first texts.
    """

    def __init__(self, rules: Mapping[str, str], *, together: int = 1024) -> None:
        options = _options()
        self.names = tuple(rules)
        self._together = together
        self._sets = [re2.Set.SearchSet(options) for _ in range(0, len(rules), together)]
        self._each = []
        wrong = []
        for name, pattern in rules.items():
            try:
                self._each.append(re2.compile(pattern, options))
                self._sets[(len(self._each) - 1) // together].Add(pattern)
            except re2.error as error:
                wrong.append(f"{name}: {pattern!r} is no RE2 pattern: {_said(error)}")
        if wrong:
            raise ConfigError("\n".join(wrong))
        for each in self._sets:
            each.Compile()
        self.joinable = not any(_edged(pattern) for pattern in rules.values())

    def which(self, text: str) -> list[int]:
        """The indices of the rules that match somewhere."""
        if len(self._sets) == 1:
            return self._sets[0].Match(text) or []
        data = text.encode("utf-8", "surrogatepass")
        return [
            index * self._together + found
            for index, each in enumerate(self._sets)
            for found in each.Match(data) or ()
        ]

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
        which = self.which(text)
        if not which:
            return
        data = text.encode("utf-8", "surrogatepass")
        for index in sorted(which):
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


class Sieve:
    """`Sieve([r"expression"]).passes(text)`, of a JSON text as orjson writes it: True where certainly no string of it matches.

    With its escapes undone, a JSON text holds each of its strings as it is, between quotes, which belong to no word. So what
    matches in a string matches in the text, unless it asks for the string's edge; what matches in the text may be a key.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._set = re2.Set.SearchSet(_options())
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()

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
