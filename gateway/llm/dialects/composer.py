"""One state machine for every stream that is not Anthropic's own.

Upstreams interleave: two tool calls grow at once, text comes between. The hub's grammar wants one block open at
a time. So blocks stand in a queue; the first one streams, the others collect until those before them are closed.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.protocol import ErrorInfo, Event, Json, Reply
from gateway.metering import truth
from gateway.metering.usage import Usage

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
CUT = "the upstream ended its answer before it was complete"


class _Block:
    __slots__ = ("closed", "key", "kind", "pieces", "signature", "start", "wrote")

    def __init__(self, kind: str, start: Json, key: Any = None) -> None:
        self.kind = kind
        self.start: Json | None = start  # None once its start event is out
        self.key = key
        self.pieces: list[str] = []  # not yet sent
        self.signature = ""
        self.wrote = False
        self.closed = False


class Composer:
    """Builds a well-formed hub stream from what a reader tells it in pieces; `drain` gives the events so far.

    A reader calls `text`, `thinking`, `sign`, `tool`, `arguments`, and at the end `finish` (or `fail`).
    Blocks open, close, take their numbers and wait for their turn by themselves.
    """

    __slots__ = (
        "_about",
        "_called",
        "_failed",
        "_finished",
        "_index",
        "_queue",
        "_reply",
        "_skipped",
        "_started",
        "characters",
        "out",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._queue: list[_Block] = []
        self._index = 0
        self._started = False
        self._finished = False
        self._failed = False
        self._called = False  # a tool call was seen
        self._about: tuple[str, str, Usage | None] | None = None
        self._skipped: set[Any] = set()  # calls that the client does not want in parallel
        self.characters = 0  # of everything the model wrote: for an estimate
        self.out: list[Event] = []

    @property
    def over(self) -> bool:
        return self._finished or self._failed

    @property
    def started(self) -> bool:
        return self._started

    @property
    def called(self) -> bool:
        return self._called

    def drain(self) -> list[Event]:
        events, self.out = self.out, []
        return events

    def about(self, *, id: str = "", model: str = "", usage: Usage | None = None) -> None:
        """What `message_start` will say. It goes out with the first content: until then a retry is possible."""
        self._about = (id, model, usage)

    def start(self, *, id: str = "", model: str = "", usage: Usage | None = None) -> None:
        """The first thing sent; everything else calls it if the reader has not."""
        if self._started:
            return
        self._started = True
        if self._about is not None:
            id, model, usage = self._about
        known = usage or Usage(input=self._reply.prompt_estimate, estimated=True)
        message: Json = {"id": id or self._reply.new_id("msg"), "type": "message", "role": "assistant",
                   "model": model or self._reply.model, "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": figures.write(known)}  # fmt: skip
        self.out.append({"type": "message_start", "message": message})

    def text(self, piece: str) -> None:
        if piece:
            self._grow(self._tail("text", {"type": "text", "text": ""}), piece)

    def thinking(self, piece: str) -> None:
        if piece:
            self._grow(self._tail("thinking", {"type": "thinking", "thinking": "", "signature": ""}), piece)

    def sign(self, signature: str) -> None:
        """Signs the thinking block that is open (or an empty one) and closes it."""
        block = self._tail("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        block.signature = signature
        self._close(block)

    def whole(self, block: Json) -> None:
        """A block that comes in one piece: `redacted_thinking`, a server tool's result."""
        self._append(_Block(block["type"], block)).closed = True
        self._advance()

    def tool(self, key: Any, *, name: str, id: str = "") -> None:
        """A tool call begins; `key` is how the upstream refers to it later."""
        _must_be(name or None, str)
        if self._called and self._reply.one_call:
            self._skipped.add(key)
            return
        self._called = True
        ident = id if _ID.fullmatch(id) else self._reply.new_id("toolu")
        start = {"type": "tool_use", "id": ident, "name": self._reply.names.get(name, name), "input": {}}
        self._append(_Block("tool_use", start, key))
        self._advance()

    def arguments(self, key: Any, piece: str) -> None:
        if piece and key not in self._skipped:
            self._grow(self._call(key), piece)

    def given(self, key: Any, arguments: Any) -> None:
        """The same where they come as an object."""
        self.arguments(key, whole_input(arguments))

    def done(self, key: Any) -> None:
        """That tool call's arguments are complete."""
        if key not in self._skipped:
            self._close(self._call(key))

    def close(self) -> None:
        """Closes the open text or thinking block; what follows is a block of its own."""
        if self._queue and self._queue[-1].kind in ("text", "thinking"):
            self._close(self._queue[-1])

    def finish(self, reason: str, usage: Usage | None, *, stop_sequence: str | None = None) -> None:
        """The answer is complete: `tool_use` follows from the calls seen, unless a stronger reason is given."""
        if self.over:
            return
        self.start()
        for block in self._queue:
            block.closed = True
        self._advance()
        if reason in ("end_turn", "tool_use"):
            reason = "tool_use" if self._called else "end_turn"
        counted = usage or truth.judged(None, prompt=self._reply.prompt_estimate, written=self.characters)
        self.out.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": stop_sequence},
                         "usage": figures.write(counted)})  # fmt: skip
        self.out.append({"type": "message_stop"})
        self._finished = True

    def fail(self, info: ErrorInfo, *, retry: bool = False) -> None:
        """The answer ends in an error; nothing follows it."""
        if not self.over:
            self._failed = True
            self.out.append(failures.event(info, retry=retry))

    def cut(self) -> None:
        """The upstream closed without its finish mark."""
        self.fail(ErrorInfo(500, "api_error", CUT), retry=True)

    def _tail(self, kind: str, start: Json) -> _Block:
        """The open text or thinking block at the end of the queue, or a new one."""
        last = self._queue[-1] if self._queue else None
        if last is not None and last.kind == kind and not last.closed:
            return last
        return self._append(_Block(kind, start))

    def _append(self, block: _Block) -> _Block:
        self.start()
        self.close()
        self._queue.append(block)
        return block

    def _call(self, key: Any) -> _Block:
        for block in self._queue:
            if block.key == key and block.kind == "tool_use":
                return block
        raise KeyError(key)

    def _grow(self, block: _Block, piece: str) -> None:
        _must_be(piece, str)
        self.characters += len(piece)
        block.pieces.append(piece)
        self._advance()

    def _close(self, block: _Block) -> None:
        block.closed = True
        self._advance()

    def _advance(self) -> None:
        """Sends what may be sent: of the first block what it has, and of the next ones once it is closed."""
        while self._queue:
            head = self._queue[0]
            self._send(head)
            if not head.closed:
                return
            self._stop(head)
            self._queue.pop(0)

    def _send(self, block: _Block) -> None:
        if block.start is not None:
            self.out.append(
                {"type": "content_block_start", "index": self._index, "content_block": block.start}
            )
            block.start = None
        for piece in block.pieces:
            kind, key = _DELTAS[block.kind]
            self._delta({"type": kind, key: piece})
            block.wrote = True
        block.pieces.clear()

    def _stop(self, block: _Block) -> None:
        if block.kind == "tool_use" and not block.wrote:
            self._delta({"type": "input_json_delta", "partial_json": "{}"})
        if block.signature:
            self._delta({"type": "signature_delta", "signature": block.signature})
        self.out.append({"type": "content_block_stop", "index": self._index})
        self._index += 1

    def _delta(self, delta: Json) -> None:
        self.out.append({"type": "content_block_delta", "index": self._index, "delta": delta})


def whole_input(arguments: Any) -> str:
    """A call's arguments, given as an object, in the form in which they are streamed."""
    _must_be(arguments or {}, dict)
    return orjson.dumps(arguments or {}).decode()


def _must_be(value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"the upstream sent {type(value).__name__} where {kind.__name__} belongs")
