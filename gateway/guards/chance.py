"""Whether a value was drawn by chance: what is random enough for its length, and made of no words."""

from __future__ import annotations

import math
import re
from collections import Counter

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
ALPHABET = re.compile(r"0123456789|abcdefgh|12345678|qwerty", re.I)


def entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def least(size: int) -> float:
    return min(3.0, 0.55 * math.log2(max(2, size)))


PLACEHOLDER = re.compile(
    r"x{4,}|X{4,}|\*{3,}|\.{3}|…|<[^>]*>|\$\{|\$\(|\{\{|%\(|your|example|sample|placeholder|changeme|change[-_]me|insert|dummy|redacted|fake"
    r"|todo|my[-_](?:key|token|secret|password|api)|(?:test|demo)[-_](?:key|token|secret|api)|not[-_]a[-_]|secret[-_]here|[-_]here\b|process\.env|os\.environ|getenv",
    re.I,
)


def dull(value: str) -> bool:
    """Placeholders, and values with one letter again and again."""
    return bool(PLACEHOLDER.search(value)) or max(Counter(value).values()) > len(value) * 0.45


_WORDS = re.compile(r"[A-Za-z]?[a-z]{2,}|[A-Z]{2,}|[a-z]+")


def worded(value: str) -> bool:
    """Made of words, as names and paths are: letters in runs, few digits."""
    # Where both cases are mixed without a sign between, three letters that can be spoken are no word yet.
    shortest = 3 if value == value.lower() or _SEPARATOR.search(value) else 4
    letters = sum(len(run) for run in _WORDS.findall(value) if len(run) >= shortest and _pronounced(run))
    return letters >= 0.6 * sum(c.isalnum() for c in value)


_SEPARATOR = re.compile(r"[^A-Za-z0-9+/=]")
_CLUSTER = re.compile(r"[bcdfghjklmnpqrstvwxz]{4,}")


def _pronounced(run: str) -> bool:
    run = run.lower()
    vowels = sum(run.count(v) for v in "aeiouy")
    return 0.15 <= vowels / len(run) <= 0.75 and not _CLUSTER.search(run)


def random_looking(value: str) -> bool:
    """Letters and figures mixed as chance mixes them, and no words."""
    if UUID.fullmatch(value):
        return value[14] != "1"  # made from the time, not by chance
    size = len(value)
    figures = sum(c.isdigit() for c in value)
    if size < 10 or figures < (1 if size >= 20 else 2) or figures == size or ALPHABET.search(value):
        return False
    if worded(value) or value.count(".") > 3 or value.count("/") > 3:
        return False
    changes = len(_CHANGE.findall(value))
    if size >= 20 and len(_CASE.findall(value)) >= 6:
        changes += 3
    if changes < (3 if size >= 20 else 2):
        return False
    hexadecimal = all(c in "0123456789abcdefABCDEF" for c in value)
    return entropy(value) >= min(2.9 if hexadecimal else 3.5, 0.72 * math.log2(size))


_CASE = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_CHANGE = re.compile(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]")
