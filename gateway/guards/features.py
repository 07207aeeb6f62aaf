"""What models read of a text: the pieces of its segments, made once for all models that ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Kind:
    features: Callable[[str], set[str]]
    width: int  # characters of a segment
    lines: bool  # whether line breaks mean something
    sparing: int  # in a text longer than this, a segment that no rule marks is not scored


class Cut:
    """A folded text in half-overlapping segments. Each half is read once; a segment's features are its two halves'."""

    __slots__ = ("_halves", "_marked", "bounds", "kind", "text")

    def __init__(self, text: str, kind: Kind) -> None:
        self.text = text
        self.kind = kind
        self.bounds = tuple(segments(len(text), kind.width))
        self._marked = f"\x02{text}\x03"  # so that a piece can say that it begins or ends the text
        self._halves: dict[int, set[str]] = {}

    def piece(self, index: int) -> str:
        start, end = self.bounds[index]
        return self.text[start:end]

    def half(self, index: int) -> set[str]:
        found = self._halves.get(index)
        if found is None:
            step = self.kind.width // 2
            text = self._marked[index * step : (index + 1) * step + REACH]
            found = self._halves[index] = self.kind.features(text)
        return found

    def features(self, index: int) -> set[str]:
        return self.half(index) | self.half(index + 1)


REACH = 5  # into the next half, for the pieces that lie on the border


def segments(size: int, width: int) -> Iterator[tuple[int, int]]:
    """Half-overlapping windows; the last one ends with the text."""
    step = width // 2
    for start in range(0, max(1, size - step), step):
        yield start, min(size, start + width)


_WORD = re.compile(r"[a-z0']+|[^\sa-z0']")


def prose(text: str) -> set[str]:
    """Five characters in a row, words, and pairs of words."""
    words = _WORD.findall(text)
    found = {text[i : i + 5] for i in range(len(text) - 4)}
    found.update(map("\t".join, pairwise(words)))
    found.update(map("\t".__add__, words))
    return found


_TOKEN = re.compile(r"[a-z_@][a-z0_]*|0+|--+|/\*|\*/|\|\||&&|\$\(|\$\{|[<>!=]+|\s+|.")


def payload(text: str) -> set[str]:
    """Two to four characters in a row, and one to four tokens in a row with names and numbers reduced to their kind."""
    shapes = [_shape(token) for token in _TOKEN.findall(text)]
    found = {text[i : i + 2] for i in range(len(text) - 1)}
    found.update([text[i : i + 3] for i in range(len(text) - 2)])
    found.update([text[i : i + 4] for i in range(len(text) - 3)])
    for size in (1, 2, 3, 4):
        found.update(["\t".join(shapes[i : i + size]) + "\t" for i in range(len(shapes) - size + 1)])
    return found


# The words of SQL and of shells that keep their name among the shapes.
_WORDS = """
select union all from where and or not null like rlike regexp between in is as on join order group by having
limit into outfile dumpfile insert update delete drop create alter table exec execute declare set cast convert
char chr concat concat_ws substr substring mid ascii ord hex unhex sleep benchmark waitfor delay pg_sleep if
case when then else end exists information_schema sysobjects database version user users admin password count
xor div mod load_file load_extension xp_cmdshell extractvalue updatexml procedure analyse begin shutdown true
false binary collate top dual cat ls id whoami uname ifconfig ipconfig netstat ping wget curl nc ncat bash sh
zsh ksh python perl ruby php echo printf type dir net ps rm cp mv chmod chown passwd shadow etc tmp bin usr
system passthru shell_exec eval env set time cmd powershell phpinfo rmdir touch tail head grep awk sed find
xargs sudo su kill nslookup dig host ftp telnet ssh
"""
_KNOWN = frozenset(_WORDS.split())


@lru_cache(4096)  # bounded: tokens are the caller's
def _shape(token: str) -> str:
    if token in _KNOWN:
        return token
    if token[0] == "@" and len(token) > 1:
        return "@v"
    if token[0].isalpha() or token[0] == "_":
        return "n"
    if token[0] == "0":
        return "0"
    return " " if token.isspace() else token


KINDS = {
    "prose": Kind(prose, 800, lines=False, sparing=1 << 40),
    "payload": Kind(payload, 240, lines=True, sparing=480),
}
