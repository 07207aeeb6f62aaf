"""What is sent to the client, as far as policies want to know it or add to its head."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.types import Message, Send

if TYPE_CHECKING:
    from gateway.call import Call


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
            self.size += len(chunk)
            self.ended = not message.get("more_body", False)
            for feed in self.feeds:
                feed(chunk)
            if self.ended:
                self.feeds.clear()
        return self._send(message)
