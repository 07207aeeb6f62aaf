"""What a scanner says, and what it is given to read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from gateway.guards import decode
from gateway.guards.features import KINDS, Cut

Name = Literal[
    "prompt_injection", "tool_descriptions", "sql_injection", "command_injection", "path_traversal", "secrets", "pii"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a scanner found. `start` and `end` are offsets in the text as it was sent, decoded or not."""

    scanner: str
    rule: str
    start: int
    end: int
    score: float  # 0 to 1; fires at the scanner's threshold
    excerpt: str  # safe to log: what is private is masked, what is invisible is named
    how: str = ""  # by which decodings it came to light, "base64>percent"

    def as_json(self) -> dict[str, Any]:
        return {"scanner": self.scanner, "rule": self.rule, "start": self.start, "end": self.end,
                "score": round(self.score, 3), "excerpt": self.excerpt, "how": self.how}  # fmt: skip


class Sample:
    """A text with its decoded views, made once and shared by all scanners."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._cuts: dict[tuple[int, str], Cut] = {}

    @cached_property
    def views(self) -> tuple[decode.View, ...]:
        return decode.views(self.text)

    def cut(self, index: int, kind: str) -> Cut:
        """The view of this index as models of this kind read it."""
        cut = self._cuts.get((index, kind))
        if cut is None:
            view = self.views[index]
            cut = Cut(view.lines if KINDS[kind].lines else view.folded, KINDS[kind])
            self._cuts[index, kind] = cut
        return cut


class Scanner(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def threshold(self) -> float: ...

    def scan(self, sample: Sample) -> list[Finding]:
        """Everything found, also what scores below the threshold. Pure, and bounded in time by the text's length."""


def covered(value: str) -> str:
    """A private value for a log: enough to recognise it, too little to use it."""
    return f"{shown(value, 0, min(4, len(value) // 6))}…({len(value)})"


def shown(text: str, start: int, end: int, *, limit: int = 80) -> str:
    """The matched text for a log, on one line, with everything invisible spelled out."""
    cut = text[start:end]
    ends = "…" if len(cut) > limit else ""
    if cut[:limit].isprintable():
        return cut[:limit] + ends
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in cut[:limit]) + ends
