"""Words written so that people and models still read them, and programs do not: l33t, s p a c e d, backwards, rot13.

No encoding says that it is one here, so each is undone only where the text shows it: figures inside words, letters one by one,
or the very words that an attack needs, turned round.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from gateway.guards.decode import View
from gateway.guards.patterns import Patterns

# One look in linear time says which of them is worth undoing: two l33t words side by side, four letters one by one, a word turned.
_TURNED = ("ignore", "instruction", "prompt", "system", "disregard", "password", "previous")
_SIGNS = Patterns(
    {
        "leet": r"(?i)[a-z][013457@$]+[a-z][^\n]{0,12}[ ,][^ \n]?[a-z0-9@$]?[a-z]?[013457@$]+[a-z]",
        "spaced": r"\b[A-Za-z](?:[ .·_*~-][A-Za-z]){3,}\b",
        "backwards": f"(?i){'|'.join(word[::-1] for word in _TURNED)}",
        "rot13": f"(?i){'|'.join(codecs.encode(word, 'rot13') for word in _TURNED)}",
    }
)
_LEET_WORD = re.compile(r"\b(?=[A-Za-z@$!|]*[013457@$])(?=[0-9@$!|]*[A-Za-z])[A-Za-z013457@$!|]{2,16}\b")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEAST_LEET = 4  # words of a text; a name with a figure in it is none
_APART = re.compile(r"(?<!\w)(?:[^\W\d_]([ .·_*~-])(?:[^\W\d_]\1)+[^\W\d_])(?!\w)")


def undone(text: str) -> Iterator[View]:
    """What a disguised text says."""
    for sign in _SIGNS.names_in(text):
        plain = _UNDO[sign](text)
        if plain != text:
            yield View(plain, 0, len(text), sign)


def _leet(text: str) -> str:
    return _LEET_WORD.sub(_plain, text) if len(_LEET_WORD.findall(text)) >= _LEAST_LEET else text


def _plain(match: re.Match[str]) -> str:
    word = match.group()
    return word.lower().translate(_LEET) if sum(c.isalpha() for c in word) * 3 >= len(word) else word


def _joined(text: str) -> str:
    """Letters one by one become words again; where they are apart by spaces, more spaces end a word."""
    return _APART.sub(lambda match: match[0].replace(match[1], ""), text)


_UNDO: dict[str, Callable[[str], str]] = {
    "leet": _leet,
    "spaced": _joined,
    "backwards": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text, "rot13"),
}
