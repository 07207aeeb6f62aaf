"""Which programs a command line runs, whatever stands around them: wrappers, variables, texts for another shell.

A text that is handed to a shell (`bash -c …`, `eval …`, a here-document, `echo … | sh`) is read as a command line, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from gateway.guards.commands.handed import program_text, texts
from gateway.guards.commands.lines import parse
from gateway.guards.commands.programs import Pipe, Run, name_of
from gateway.guards.commands.syntax import DEEPEST, SUBSTITUTED, Command, Line, Redirect, TooDeep, Word
from gateway.guards.commands.wrappers import SETTING, unwrapped

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\b[^}]{0,400}\})")
_DECLARES = ("export", "declare", "local", "readonly", "typeset", "set")
MOST = 1000  # programs in a line
EXPANDED = 256 * 1024  # characters that variables may add to a line


@dataclass(slots=True)
class Runs:
    """All that a command line runs, the pipelines within others before these."""

    text: str
    pipes: list[Pipe]

    @property
    def all(self) -> Iterator[Run]:
        return chain.from_iterable(self.pipes)


class TooMany(Exception):
    """More programs than anybody has to read before a shell does."""


def read(text: str) -> Runs:
    """Raises TooDeep and TooMany."""
    return Runs(text, list(_Reader().pipes(parse(text), 0)))


class _Reader:
    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        # What a variable's value was made by; one list for all of a command's.
        self._makers: dict[str, list[Run]] = {}
        self._left = EXPANDED
        self._programs = MOST

    def pipes(self, line: Line, depth: int) -> Iterator[Pipe]:
        if depth > DEEPEST:
            raise TooDeep
        for pipeline in line:
            pipe: Pipe = []
            for command in pipeline:
                inner = [each for within in command.within for each in self.pipes(within, depth + 1)]
                run = self._run(command, [each for within in inner for each in within])
                for text in texts(run, pipe):
                    more = list(self.pipes(parse(text), depth + 1))
                    run.within += [each for within in more for each in within]
                    inner += more
                yield from inner
                pipe.append(run)
            yield pipe

    def _run(self, command: Command, within: list[Run]) -> Run:
        self._programs -= 1
        if self._programs < 0:
            raise TooMany
        words = [self._known(word.text) for word in command.words]
        within += self._makers_of(command)
        first = next((n for n, word in enumerate(words) if not SETTING.match(word)), len(words))
        settings = [(match[1], match[2]) for word in words[:first] if (match := SETTING.match(word))]
        if first == len(words) or words[first] in _DECLARES:
            self._keep([*words[:first], *words[first + 1 :]], within)
        written = command.words[first:]
        rest, more = unwrapped(_apart(words[first:], written))
        path = rest[0] if rest else ""
        redirects = tuple(Redirect(each.way, self._known(each.target)) for each in command.redirects)
        return Run(
            name_of(path),
            path,
            words=tuple(rest[1:]),
            redirects=redirects,
            settings=(*settings, *more),
            raw=command.raw,
            pieced=any(
                word.pieced and text == path for word, text in zip(written, words[first:], strict=True)
            ),
            split=any(word.split for word in written),
            code=program_text(name_of(path), rest[1:], redirects),
            within=within,
        )

    def _makers_of(self, command: Command) -> list[Run]:
        """What the values were made by that this command's words hold, each once."""
        names = dict.fromkeys(name for word in command.words for name in self._named(word.text))
        return list({id(run): run for name in names for run in self._makers[name]}.values())

    def _keep(self, words: list[str], within: list[Run]) -> None:
        made = list(within)
        for word in words:
            if match := SETTING.match(word):
                self._values[match[1]] = match[2]
                self._makers[match[1]] = made if SUBSTITUTED in match[2] else []

    def _named(self, text: str) -> list[str]:
        """The variables in it that this line has set."""
        found = [match[1] or match[2] for match in _VARIABLE.finditer(text)] if "$" in text else []
        return [name for name in found if name in self._values]

    def _known(self, text: str) -> str:
        """With what this line has set, within bounds: values may hold values."""
        self._left -= sum(len(self._values[name]) for name in self._named(text))
        if self._left < 0 or "$" not in text:
            return text
        return _VARIABLE.sub(lambda match: self._values.get(match[1] or match[2], match[0]), text)


def _apart(words: list[str], written: list[Word]) -> list[str]:
    """A variable in front may hold a program together with its arguments."""
    if words and " " in words[0] and written[0].text.startswith("$"):
        return [*words[0].split(), *words[1:]]
    return words
