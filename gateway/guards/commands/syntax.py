"""What a command line is made of: pipelines of commands, their words without quotes, and what is run inside of them.

Names of variables stay as they stand (`$HOME`); where a substitution gives a word, the word says `SUBSTITUTED`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUBSTITUTED = "\x1a"
DEEPEST = 12  # substitutions, groups and texts for shells within each other


class TooDeep(Exception):
    """More within each other than anybody writes."""


@dataclass(slots=True)
class Word:
    text: str
    pieced: bool = False  # put together of quotes, escapes or expansions in the midst of letters
    split: bool = False  # by ${IFS} instead of a space


@dataclass(slots=True)
class Redirect:
    way: str  # `>`, `>>`, `<`, `<<` (the target is then the text itself), `<<<`, `>&` …
    target: str


@dataclass(slots=True)
class Command:
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    within: list[Line] = field(default_factory=list)  # substitutions and groups
    raw: str = ""  # as it was sent

    def __bool__(self) -> bool:
        return bool(self.words or self.redirects or self.within)


Pipeline = list[Command]
Line = list[Pipeline]
