"""How a request began, so that the next one of its conversation needs to be read from there only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.metering.conversation import EMPTY, Stretch
from gateway.metering.definitions import NO_TOOLS, Definitions

EDGE: Final = 256  # bytes by which a text is known again
OPEN: Final = b'{"messages":['
BETWEEN: Final = b" \n\r\t,"


class Beginning(msgspec.Struct, frozen=True):
    """How a request began, up to the end of a message, and what that amounts to; and what stood behind its last message."""

    end: int = 0
    edge: bytes = b""
    definitions: Definitions = NO_TOOLS
    system: int = 0
    stretch: Stretch = EMPTY
    tail: int = 0
    tail_edges: tuple[bytes, bytes] = (b"", b"")
    behind: tuple[Definitions | None, int] = (None, 0)

    def fits(self, body: bytes) -> bool:
        return body.startswith(self.edge, self.end - len(self.edge))

    def between(self, body: bytes) -> bytes | None:
        """The messages that are new; None where something else is behind them than the last time."""
        first, last = self.tail_edges
        past = len(body) - self.tail
        if past > self.end and body.startswith(first, past) and body.endswith(last):
            return OPEN + body[self.end : past].lstrip(BETWEEN) + b"]}"
        return None


NOTHING: Final = Beginning()


def ends(body: bytes, first: int, raws: Sequence[msgspec.Raw], count: int) -> tuple[int, int] | None:
    """Where so many messages end, and where all do, which stand equally far apart; None where they do not."""
    past = first + len(raws[0])
    gap = body.find(bytes(raws[1])[:EDGE], past) - past
    end = past + sum(map(len, raws[1:count])) + gap * (count - 1)
    last = end + sum(map(len, raws[count:])) + gap * (len(raws) - count)
    if not body.startswith(bytes(raws[count])[:EDGE], end + gap) or not body.startswith(b"]", last):
        return None
    return end, last
