"""How many bytes of each kind a text has, and how many tokens a family of models makes of them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from gateway.limits.estimate_families import Weights

_SMALL = string.ascii_lowercase.encode()
_CAPITALS = string.ascii_uppercase.encode()
_DIGITS = string.digits.encode()
_MARKS = string.punctuation.encode()
_ASCII = bytes(range(128))
_NARROW = bytes((*range(0xE3), *range(0xEE, 256)))  # begin no character of Chinese, Japanese or Korean
_WORD = 16  # letters; more in a row are no word

# Bytes, capitals, digits, marks, bytes that are not ASCII, wide characters, spaces, two or four of those in a row, line breaks,
# two of those in a row, texts. Empty where there is nothing to count.
Tally = tuple[int, ...]


def of(texts: Sequence[str], *, within: bool = False) -> Tally:
    """One kind after the other is taken out, that of which there is most first, so that ever less has to be looked at.

    `within` where they belong to others, which are counted as texts.
    """
    if not texts:
        return ()
    text = "".join(texts)
    data = text.encode(errors="surrogatepass")
    rest = data.translate(None, _SMALL)
    unspaced = rest.translate(None, b" ")
    unmarked = unspaced.translate(None, _MARKS)
    uncounted = unmarked.translate(None, _DIGITS)
    uncapped = uncounted.translate(None, _CAPITALS)
    spaces, lines, high, wide = len(rest) - len(unspaced), uncapped.count(b"\n"), 0, 0
    if not text.isascii():
        beyond = uncapped.translate(None, _ASCII)
        high, wide = len(beyond), len(beyond.translate(None, _NARROW))
    pairs = data.count(b"  ") if spaces > 1 else 0
    return (
        len(data), len(uncounted) - len(uncapped), len(unmarked) - len(uncounted), len(unspaced) - len(unmarked), high, wide,
        spaces, pairs + data.count(b"    ") if pairs > 1 else pairs,
        lines, data.count(b"\n\n") if lines > 1 else 0,
        0 if within else len(texts),
    )  # fmt: skip


def total(tallies: Iterable[Tally]) -> Tally:
    some = [*filter(None, tallies)]
    return some[0] if len(some) == 1 else tuple(map(sum, zip(*some, strict=True)))


def tokens(tally: Tally, weights: Weights) -> float:
    if not tally:
        return 0.0
    size, upper, digits, marks, high, wide, spaces, rows, lines, gaps, texts = tally
    lower = size - upper - digits - marks - high - spaces - lines
    spaces -= rows
    lines -= gaps // 2
    run = lower + upper + digits - _WORD * (spaces + marks + lines + texts)
    found = (weights.lower * lower + weights.upper * upper + weights.digit * digits + weights.mark * marks
             + weights.high * (high - 3 * wide) + weights.wide * wide + weights.space * spaces + weights.line * lines
             + weights.run * max(0, run))  # fmt: skip
    return found * weights.more
