"""A text that arrives in pieces, judged before it is passed on: its end is held back until what it could begin is known.

Judging a stream chunk by chunk misses what is split over two; holding everything back would end the streaming. So a tail is
held: longer than it takes to recognise a secret, a card number or a placeholder, and longer still while one is unfinished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.guards.placeholders import LONGEST

HOLD = 256  # characters held back
STEP = 64  # scanned once this many new ones have come
CONTEXT = 128  # characters already passed on that are read again, for the words before a number
MOST = 16 * 1024  # a finding that goes on for longer is cut here


@dataclass(frozen=True, slots=True)
class Mask:
    start: int
    end: int
    text: str


# Of a text and where its new part begins: what to replace. Raises to cut the stream.
Judge = Callable[[str, int], Sequence[Mask]]


class Window:
    def __init__(self, judge: Judge, *, restore: Callable[[str], str] = str, hold: int = HOLD) -> None:
        self._judge = judge
        self._restore = restore
        self._hold = max(hold, LONGEST)
        self._passed = ""
        self._held = ""
        self._fresh = 0

    def push(self, text: str) -> str:
        """What of the text so far may go on."""
        self._held += text
        self._fresh += len(text)
        if self._fresh < STEP or len(self._held) <= self._hold:
            return ""
        return self._release(len(self._held) - self._hold)

    def flush(self) -> str:
        """All the rest: the text is over."""
        return self._release(len(self._held)) if self._held else ""

    def _release(self, upto: int) -> str:
        self._fresh = 0
        context = len(self._passed)
        masks = [m for m in self._judge(self._passed + self._held, context) if m.end > context]
        upto = self._before_unfinished(upto, masks, context)
        out, end = [], 0
        for mask in sorted(masks, key=lambda m: (m.start, -m.end)):
            start, stop = max(mask.start - context, end), mask.end - context
            if start < upto and stop > end:
                out += [self._held[end:start], mask.text]
                end = stop
        out.append(self._held[end:upto])
        upto = max(end, upto)
        self._passed = (self._passed + self._held[:upto])[-CONTEXT:]
        self._held = self._held[upto:]
        return self._restore("".join(out))

    def _before_unfinished(self, upto: int, masks: Sequence[Mask], context: int) -> int:
        """A finding that reaches the end may go on in the next piece: it waits whole. So does one that the cut would halve,
        and an opening bracket of a placeholder."""
        size = len(self._held)
        if upto >= size:
            return upto
        for mask in sorted(masks, key=lambda m: -m.start):
            start, end = mask.start - context, mask.end - context
            if start < upto and (end > upto) and end - start < MOST:
                upto = max(0, start)
        opened = self._held.rfind("[[", max(0, upto - LONGEST), upto + 1)
        return opened if opened >= 0 and "]]" not in self._held[opened:upto] else upto
