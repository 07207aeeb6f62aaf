"""What is sent to the client, as far as policies want to know it or add to its head."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.types import Message, Send

if TYPE_CHECKING:
    from gateway.call import Call


class Sink(Struct, frozen=True):
    """A way beside messages, for pieces of a body that goes on: no message is made for each, and nobody waits.

    `take` sends a piece at once; False: it would have to wait, nothing was done, and it has to be a message. `passed` must be
    told of all that was taken, many pieces at a time, before the next message.
    """

    take: Callable[[bytes], bool]
    passed: Callable[[bytes], None]


class Answer(Struct, eq=False):
    """The `send` of one request, one for all layers that were given the same: a chain of them would cost more than what
    they do. `heads` get the message with the head before it goes on, `feeds` each piece of the body; `added` are headers.
    """

    _call: Call
    _send: Send
    _added: Sequence[tuple[bytes, bytes]] = ()
    heads: list[Callable[[Message], None]] = []
    feeds: list[Callable[[bytes], None]] = []
    status: int = 0  # 0: nothing was sent
    size: int = 0
    ended: bool = False

    @classmethod
    def of(cls, call: Call, send: Send) -> Answer:
        return send if type(send) is cls else cls(call, send)

    def sink(self) -> Sink | None:
        further = sink_of(self._send)
        return None if further is None else Sink(further.take, self._passed)

    def _passed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        for feed in self.feeds:
            feed(chunk)

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = self._call.status = message["status"]
            for head in self.heads:
                head(message)
            if self._added:
                message["headers"] = [*message.get("headers", ()), *self._added]
            self.heads.clear()  # they hold this answer: a ring would be left to the collector
        else:
            chunk = message.get("body", b"")
            self._passed(chunk)
            self.ended = not message.get("more_body", False)
            if self.ended:
                self.feeds.clear()
        return self._send(message)


def sink_of(send: Send) -> Sink | None:
    """What this `send`, or the object whose method it is, offers beside messages."""
    offered = getattr(getattr(send, "__self__", send), "sink", None)
    return offered() if offered is not None else None
