"""Bring what is hidden to light before judging: encodings, look-alike letters, invisible characters.

A text has views: itself, and what it says once percent signs, entities, escapes, base64 or hex are undone, up to two layers
deep and within a budget of characters. Each view knows which span of the original it came from, so a finding in a view
points at what was sent. `fold` is the common form that patterns and models read.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

DEPTH = 2
BUDGET = 256 * 1024  # characters of decoded views, all together
BLOBS = 32  # encoded blobs looked at in one text


@dataclass(frozen=True)
class View:
    text: str
    start: int
    end: int
    how: str = ""

    @cached_property
    def folded(self) -> str:
        return " ".join(self.lines.split())

    @cached_property
    def lines(self) -> str:
        """Folded, with line breaks where they are: they mean something (a shell's next command)."""
        return fold(self.text)

    @cached_property
    def matching(self) -> dict[str, list[tuple[str, Any]]]:
        """By scanner, the rules that match somewhere in the folded text: scanners that share rules ask once."""
        return {}

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a match of this view lies in the original; a decoded view is one piece."""
        return (start, end) if not self.how else (self.start, self.end)


# --- invisible characters -------------------------------------------------------------------------------------------

_TAGS = range(0xE0000, 0xE0080)
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
# U+200D joins emoji and U+FE0F colours them, U+200C is Persian and Indic spelling: hidden only between ASCII characters.
_ZERO_WIDTH = (
    0x200B, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0x180E, 0xFEFF, 0x00AD, 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0,
)  # fmt: skip
_JOINERS = (0x200C, 0x200D, 0x200E, 0x200F, 0x061C)


def _any(points: tuple[int, ...] | range) -> str:
    return "".join(f"\\U{point:08x}" for point in points)


_HIDDEN = re.compile(
    f"(?P<tag>[{_any(_TAGS)}]+)|(?P<bidi>[{_any(_BIDI)}]+)|(?P<zero_width>[{_any(_ZERO_WIDTH)}]+"
    f"|(?<=[ -~])[{_any(_JOINERS)}]+(?=[ -~]|$))|(?P<selector>[\U000e0100-\U000e01ef]+|[\ufe00-\ufe0e]{{4,}})"
)
_PERHAPS = re.compile(
    f"[{_any(_TAGS)}{_any(_BIDI)}{_any((*_ZERO_WIDTH, *_JOINERS))}\ufe00-\ufe0e\U000e0100-\U000e01ef]"
)


def _class(points: Iterable[int]) -> str:
    return "[" + "".join(map(r"\x{{{:X}}}".format, points)) + "]"


# What `hidden` finds and a little more, in RE2's words, which have no look-around.
_ALWAYS = (*_TAGS, *_BIDI, *_ZERO_WIDTH, *range(0xE0100, 0xE01F0))
INVISIBLE = f"{_class(_ALWAYS)}|[ -~]{_class(_JOINERS)}|{_class(range(0xFE00, 0xFE0F))}{{4}}"
_FLAG = "\U0001f3f4"  # a black flag before tag characters is a flag of England, Scotland or Wales


def hidden(text: str) -> list[tuple[str, int, int]]:
    """Runs of characters that a person does not see and a model reads: (kind, start, end)."""
    if text.isascii() or not _PERHAPS.search(text):
        return []
    found = []
    for match in _HIDDEN.finditer(text):
        kind, start = match.lastgroup or "", match.start()
        flag = kind == "tag" and text[start - 1 : start] == _FLAG and match.end() - start <= 8
        first = kind == "zero_width" and start == 0 and match.group() == "\ufeff"  # a byte order mark
        if not flag and not first:
            found.append((kind, start, match.end()))
    return found


# --- one common form ------------------------------------------------------------------------------------------------

# Letters of other alphabets that look like Latin ones, as Unicode's confusables list them.
_LOOKALIKE = dict(
    zip(
        "аеорсухіјѕԁһԛԝкмнтвгпАВЕКМНОРСТХІЈЅαεορυνικτχμηϲΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡℓ∕⁄⧸∖‚‘’“”`´′″–—−‐‑ ",
        "aeopcyxijsdhqwkmhtbrnABEKMHOPCTXIJSaeopuviktxunc" + "ABEZHIKMNOPTYX" + "iagl///\\,''\"\"'''\"----- ",
        strict=False,
    )
)
_STRIP = dict.fromkeys((*_BIDI, *_ZERO_WIDTH, *_JOINERS, *range(65024, 65040), *range(917760, 918000)))
_REVEAL = {point: point - 0xE0000 for point in range(0xE0020, 0xE007F)}
_TABLE: dict[int, int | str | None] = {
    **{ord(look): plain for look, plain in _LOOKALIKE.items()}, **_STRIP, **_REVEAL, 0xE0001: None, 0xE007F: None
}  # fmt: skip


def fold(text: str) -> str:
    """Lower case, digits as 0, single spaces, look-alikes and compatibility forms as plain letters, nothing invisible."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TABLE)).lower()
        text = unicodedata.normalize("NFD", text)
        marks = {ord(c): None for c in set(text) if unicodedata.combining(c)}
        text = text.translate({**_TABLE, **marks} if marks else _TABLE)
    text = text.lower().translate(_DIGITS)
    return "\n".join([" ".join(line.split()) for line in text.split("\n")])


_DIGITS = str.maketrans("123456789", "000000000")


# --- decodings ------------------------------------------------------------------------------------------------------

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){10,})")
_ESCAPES = re.compile(r"(?:\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[0-7]{3})")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")


def views(text: str, *, depth: int = DEPTH, budget: int = BUDGET) -> tuple[View, ...]:
    found = [View(text, 0, len(text))]
    layer = found
    for _ in range(depth):
        nextup: list[View] = []
        for view in layer:
            for start, end, how, decoded in _decodings(view.text):
                budget -= len(decoded)
                if budget < 0:
                    return tuple(found)
                start, end = view.span(start, end)
                nextup.append(View(decoded, start, end, f"{view.how}>{how}" if view.how else how))
        found, layer = found + nextup, nextup
    return tuple(found)


def _decodings(text: str) -> Iterator[tuple[int, int, str, str]]:
    for how, pattern, undo in _WHOLE:
        if how in _NEEDS and _NEEDS[how] not in text:
            continue
        match = pattern.search(text)
        if match is not None:
            decoded = undo(text)
            if decoded != text:
                yield match.start(), len(text), how, decoded
    yield from _blobs(text)
    tagged = "".join(text[start:end] for kind, start, end in hidden(text) if kind == "tag").translate(_REVEAL)
    if tagged:
        yield 0, len(text), "tags", tagged


def _blobs(text: str) -> Iterator[tuple[int, int, str, str]]:
    left = BLOBS
    for match in _BASE64.finditer(text):
        blob = match.group()
        decoded = _hex(blob) or _base64(blob)
        if decoded:
            yield match.start(), match.end(), "hex" if _HEX.fullmatch(blob) else "base64", decoded
            left -= 1
            if not left:
                return


def _base64(blob: str) -> str:
    blob = blob.rstrip("=").replace("-", "+").replace("_", "/")
    if len(blob) % 4 == 1:
        blob = blob[:-1]
    try:
        return _readable(base64.b64decode(blob + "=" * (-len(blob) % 4)))
    except (binascii.Error, ValueError):
        return ""


def _hex(blob: str) -> str:
    match = _HEX.fullmatch(blob)
    return _readable(bytes.fromhex(match[1])) if match else ""


def _readable(data: bytes) -> str:
    """The text of these bytes, or nothing where they are none: a digest or a picture decodes to noise."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    good = sum(c.isprintable() or c in "\r\n\t" for c in text)
    words = sum(c.isalpha() or c == " " for c in text)
    return text if text and good == len(text) and words * 2 >= len(text) else ""


def _unescape(text: str) -> str:
    return _ESCAPES.sub(
        lambda m: chr(int(m[0][2:], 16) if m[0][1] in "xu" else int(m[0][1:], 8) & 0xFF), text
    )


_WHOLE: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
    ("percent", _PERCENT, lambda text: unquote(text, errors="replace")),
    ("entities", _ENTITY, html.unescape),
    ("escapes", _ESCAPES, _unescape),
)
_NEEDS = {"percent": "%", "entities": "&", "escapes": "\\"}
