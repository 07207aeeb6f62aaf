"""Chat completions, streamed and whole -> hub events and messages. Whole ones go through the same reader."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.llm.dialects import openai_errors, openai_usage, reduce
from gateway.llm.dialects.composer import Composer
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.frames import JsonFrames
from gateway.llm.dialects.openai_chat.details import Details, shown
from gateway.llm.dialects.protocol import ErrorInfo, Event, Json, Reply
from gateway.metering.usage import Usage

STOPS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "model_length": "max_tokens",  # Mistral: the context is full
    "content_filter": "refusal",
}


# Finish reasons by which providers say that the answer broke.
_BROKEN = ("error", "abort", "insufficient_system_resource")


class Reader:
    """One stream. The finish reason, the usage and `[DONE]` come in any order, some of them never."""

    __slots__ = (
        "_call",
        "_calls",
        "_composer",
        "_details",
        "_finish",
        "_frames",
        "_judged",
        "_refused",
        "_thinks",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._frames = JsonFrames()
        self._composer = Composer(reply)
        self._details = Details()
        self._thinks = False  # a thinking block is open
        self._calls: dict[Any, list[str]] = {}  # the pieces of each call's arguments so far
        self._call: Any = None  # the newest call
        self._judged = 0  # of how many pieces of it we know that they are not whole
        self._finish = ""
        self._refused = False
        self._usage: Usage | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            for _, data in self._frames.feed(chunk):
                self.take(data)
        except MISSHAPEN as error:
            self._composer.fail(openai_errors.malformed(error))
        return self._composer.drain()

    def whole(self, body: Json) -> list[Event]:
        """The events of a complete answer."""
        try:
            self.take(body)
            self.take({"done": True})
        except MISSHAPEN as error:
            self._composer.fail(openai_errors.malformed(error))
        return self._composer.drain()

    def end(self) -> list[Event]:
        try:
            for _, data in self._frames.end():
                self.take(data)
            self._over(said=False)
        except MISSHAPEN as error:
            self._composer.fail(openai_errors.malformed(error))
        return self._composer.drain()

    def take(self, data: Json) -> None:
        if self._composer.over:
            return
        if "done" in data and len(data) == 1:
            return self._over(said=True)
        if data.get("error"):
            self._composer.fail(openai_errors.of_event(data["error"]))
            return
        self._composer.start(id=data.get("id") or "", model=data.get("model") or "")
        figures = data.get("usage") or (data.get("x_groq") or {}).get("usage")
        self._usage = openai_usage.of_chat(figures) or self._usage
        for choice in data.get("choices") or ():
            if not choice.get("index"):
                self._choice(choice)

    def _choice(self, choice: Json) -> None:
        delta = choice.get("delta") or choice.get("message") or {}
        composer = self._composer
        details = delta.get("reasoning_details") or ()
        self._details.add(details)
        if thought := delta.get("reasoning_content") or delta.get("reasoning") or shown(details):
            composer.thinking(thought)
            self._thinks = True
        if content := delta.get("content"):
            self._content(content)
        if refusal := delta.get("refusal"):
            self._refused = True
            composer.text(refusal)
        for at, call in enumerate(delta.get("tool_calls") or ()):
            self._piece(call, at)
        self._finish = choice.get("finish_reason") or self._finish

    def _content(self, content: Any) -> None:
        """Text; with Mistral's thinking models a list of parts, too."""
        self._settle()
        if isinstance(content, str):
            self._composer.text(content)
            return
        for part in content:
            if part.get("type") == "thinking":
                self._composer.thinking("".join(each.get("text", "") for each in part.get("thinking") or ()))
            else:
                self._composer.text(part.get("text") or "")

    def _piece(self, call: Json, at: int) -> None:
        key = call.get("index")
        key = at if key is None else key
        function = call.get("function") or call.get("custom") or {}
        if key not in self._calls:
            self._settle()
            self._calls[key] = []
            self._composer.tool(key, name=function.get("name") or "", id=call.get("id") or "")
        if self._call != key:
            self._call, self._judged = key, 0
        piece = function.get("arguments")
        if call.get("type") == "custom":
            piece = orjson.dumps({"input": function.get("input") or ""}).decode()
        if isinstance(piece, dict):  # Ollama's older versions
            piece = orjson.dumps(piece).decode()
        if piece:
            self._calls[key].append(piece)
            self._composer.arguments(key, piece)

    def _settle(self) -> None:
        """Something else begins: a call whose arguments are whole JSON is over, so the next block may stream."""
        self._sign()
        if self._call is None or len(self._calls[self._call]) == self._judged:
            return
        if _whole(self._calls[self._call]):
            self._composer.done(self._call)
            self._call = None
        else:
            self._judged = len(self._calls[self._call])

    def _over(self, *, said: bool) -> None:
        """The end of the stream. Snowflake gives no finish reason, but its usage, and says that it is done."""
        if self._composer.over:
            return
        if self._finish or (said and self._usage is not None):
            self._close()
        else:
            self._composer.cut()

    def _sign(self) -> None:
        """The thinking is over: what must come back with it."""
        if signature := self._details.take():
            if self._thinks:
                self._composer.sign(signature)
            else:
                self._composer.whole({"type": "redacted_thinking", "data": signature})
        self._thinks = False

    def _close(self) -> None:
        self._sign()
        if self._finish in _BROKEN:
            said = f"the upstream broke its answer off ({self._finish})"
            self._composer.fail(ErrorInfo(500, "api_error", said), retry=True)
        reason = "refusal" if self._refused else STOPS.get(self._finish, "end_turn")
        self._composer.finish(reason, self._usage)


def _whole(pieces: list[str]) -> bool:
    try:
        orjson.loads("".join(pieces))
    except orjson.JSONDecodeError:
        return False
    return True


def reader(reply: Reply) -> Reader:
    return Reader(reply)


def read_answer(body: Json, reply: Reply) -> Json:
    return reduce.whole(Reader(reply).whole(body))
