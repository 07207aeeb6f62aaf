"""Many linear-time patterns in one pass: one google-re2 set says which match, and only those are searched for their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import re2

from gateway.errors import ConfigError

MEMORY = 64 << 20  # bytes for the automaton's states; they are made as texts need them


def _options() -> Any:
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    return options


class Patterns:
    """`Patterns({"name": r"expression"})`. Expressions follow RE2: no look-around, no back-references."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        options = _options()
        self.names = tuple(rules)
        self._set = re2.Set.SearchSet(options)
        self._each = []
        wrong = []
        for name, pattern in rules.items():
            try:
                self._each.append(re2.compile(pattern, options))
                self._set.Add(pattern)
            except re2.error as error:
                wrong.append(f"{name}: {pattern!r} is no RE2 pattern: {_said(error)}")
        if wrong:
            raise ConfigError("\n".join(wrong))
        if rules:
            self._set.Compile()

    def which(self, text: str) -> list[int]:
        """The indices of the rules that match somewhere."""
        return self._set.Match(text) or [] if self.names else []

    def find(self, text: str) -> Iterator[tuple[str, Any]]:
        """Every match with its rule's name, rule by rule."""
        for index in sorted(self.which(text)):
            name = self.names[index]
            for match in self._each[index].finditer(text):
                yield name, match


def _said(error: BaseException) -> str:
    said = error.args[0] if error.args else error
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
