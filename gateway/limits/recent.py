"""What was worked out of texts that come again: a conversation is sent again with every turn, and grows at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
MOST = 8192  # texts of a generation: mostly some 4 MB of what estimates remember


class Recent(Generic[V]):
    """`Recent(measure)(text)` is `measure(text)`, worked out once for as long as somebody asks for it.

    Only what is `light` is remembered, so that whoever makes up texts does not fill the memory. Texts are known by their length
    and by Python's hash of them, whose key nobody outside knows: none of them is kept.
    """

    __slots__ = ("_last", "_light", "_most", "_this", "_work")

    def __init__(
        self, work: Callable[[bytes], V], *, light: Callable[[V], bool] = lambda _: True, most: int = MOST
    ) -> None:
        self._work = work
        self._light = light
        self._most = most
        self._this: dict[tuple[int, int], V] = {}
        self._last: dict[tuple[int, int], V] = {}

    def __call__(self, text: bytes) -> V:
        key = hash(text), len(text)
        try:
            return self._this[key]
        except KeyError:
            pass
        found = self._last[key] if key in self._last else self._work(text)
        if not self._light(found):
            return found
        if len(self._this) >= self._most:  # what nobody asked for during a whole generation is forgotten
            self._last, self._this = self._this, {}
        self._this[key] = found
        return found
