"""A memory for clients that do not replay thinking: tool id -> the signature that Gemini wants back with the call.

Chat clients know no thinking blocks, so a signature that was sent to them is gone. Whoever serves them remembers it
here (in one process, bounded) and gives `of(hub)` as `Options.signatures`. Ids are random and signatures are only
sent to the provider that made them, so one memory serves all callers.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.llm.dialects.protocol import Event, Json
from gateway.llm.dialects.thoughts import bare, of_calls, unsigned_calls

LIMIT = 16 * 1024 * 1024


class Recall:
    """Remembers up to `limit` characters of signatures; the oldest go first."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._signatures: OrderedDict[str, str] = OrderedDict()

    def message(self, message: Json) -> None:
        """A whole answer that goes to a client."""
        for ident, signature in of_calls(message).items():
            self.add(ident, signature)

    def listen(self) -> Listener:
        """For one stream that goes to a client."""
        return Listener(self)

    def of(self, hub: Json) -> dict[str, str]:
        """What is known of the calls that came back without a signature."""
        return {ident: self._signatures[ident] for ident in unsigned_calls(hub) if ident in self._signatures}

    def add(self, ident: str, signature: str) -> None:
        self._size += len(signature) - len(self._signatures.pop(ident, ""))
        self._signatures[ident] = signature
        while self._size > self._limit:
            self._size -= len(self._signatures.popitem(last=False)[1])


class Listener:
    """Hears a stream's events, and remembers the signature that stands before a call."""

    __slots__ = ("_last", "_recall")

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._last = ""

    def hear(self, event: Event) -> None:
        if event["type"] == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use" and bare(self._last):
                self._recall.add(block["id"], self._last)
            self._last = ""
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "signature_delta":
            self._last = event["delta"]["signature"]
