"""Responses, streamed and whole -> hub events and messages. A whole one is read as the stream that it would have been."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from gateway.llm.dialects import openai_errors, openai_usage, reduce
from gateway.llm.dialects.composer import Composer
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.frames import JsonFrames
from gateway.llm.dialects.openai_responses.reasoning import sign
from gateway.llm.dialects.protocol import Event, Json, Reply

_UNFINISHED = ("queued", "in_progress", "cancelled")
CUTS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}


class Reader:
    """One stream. Items are known by their output index; they may grow at the same time."""

    __slots__ = ("_composer", "_frames", "_grown", "_refused", "_reply", "_summary")

    def __init__(self, reply: Reply) -> None:
        self._frames = JsonFrames()
        self._composer = Composer(reply)
        self._reply = reply
        self._grown: set[int] = set()  # output indexes of which deltas were seen
        self._summary: set[int] = set()  # reasoning items that show a summary
        self._refused = False

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            for _, data in self._frames.feed(chunk):
                self.take(data)
        except MISSHAPEN as error:
            self._composer.fail(openai_errors.malformed(error))
        return self._composer.drain()

    def whole(self, response: Json) -> list[Event]:
        """The events of a complete answer."""
        try:
            for event in _replayed(response):
                self.take(event)
        except MISSHAPEN as error:
            self._composer.fail(openai_errors.malformed(error))
        return self._composer.drain()

    def end(self) -> list[Event]:
        try:
            for _, data in self._frames.end():
                self.take(data)
        except MISSHAPEN:
            pass  # half a frame is no finish mark
        self._composer.cut()
        return self._composer.drain()

    def take(self, data: Json) -> None:
        handler = _HANDLERS.get(data.get("type") or "")
        if handler is not None and not self._composer.over:
            handler(self, data)
        elif "error" in data and not self._composer.over:
            self.fail(data)

    def started(self, data: Json) -> None:
        response = data.get("response") or {}
        self._composer.start(id=response.get("id") or "", model=response.get("model") or "")

    def added(self, data: Json) -> None:
        item = data.get("item") or {}
        if item.get("type") in ("function_call", "custom_tool_call"):
            name, ident = item.get("name") or "", item.get("call_id") or ""
            self._composer.tool(data["output_index"], name=name, id=ident)

    def text(self, data: Json) -> None:
        self._grown.add(data["output_index"])
        self._composer.text(data["delta"])

    def refusal(self, data: Json) -> None:
        self._refused = True
        self.text(data)

    def part(self, data: Json) -> None:
        if data.get("summary_index"):
            self._composer.thinking("\n\n")

    def summary(self, data: Json) -> None:
        self._summary.add(data["output_index"])
        self.thought(data)

    def raw(self, data: Json) -> None:
        if data["output_index"] not in self._summary:
            self.thought(data)

    def thought(self, data: Json) -> None:
        self._grown.add(data["output_index"])
        self._composer.thinking(data["delta"])

    def arguments(self, data: Json) -> None:
        self._grown.add(data["output_index"])
        self._composer.arguments(data["output_index"], data["delta"])

    def done(self, data: Json) -> None:
        item, index = data.get("item") or {}, data["output_index"]
        finish = _ITEMS.get(item.get("type") or "")
        if finish is not None:
            finish(self, item, index)

    def call(self, item: Json, index: int) -> None:
        if index not in self._grown:
            self._composer.arguments(index, item.get("arguments") or "")
        self._composer.done(index)

    def custom(self, item: Json, index: int) -> None:
        self._composer.arguments(index, orjson.dumps({"input": item.get("input") or ""}).decode())
        self._composer.done(index)

    def message(self, item: Json, index: int) -> None:
        if index not in self._grown:
            for part in item.get("content") or ():
                self._refused = self._refused or part.get("type") == "refusal"
                self._composer.text(part.get("text") or part.get("refusal") or "")
        self._composer.close()

    def reasoning(self, item: Json, index: int) -> None:
        if index not in self._grown:
            parts = item.get("summary") or item.get("content") or ()
            self._composer.thinking("\n\n".join(part.get("text") or "" for part in parts))
            if parts:
                self._grown.add(index)
        signature = sign(item)
        if not signature:
            self._composer.close()
        elif index in self._grown:
            self._composer.sign(signature)
        else:
            self._composer.whole({"type": "redacted_thinking", "data": signature})

    def search(self, item: Json, index: int) -> None:
        action = item.get("action") or {}
        query = action.get("query") or " ".join(action.get("queries") or ()) or action.get("url") or ""
        ident = self._reply.new_id("srvtoolu")
        given = {"query": query}
        self._composer.whole({"type": "server_tool_use", "id": ident, "name": "web_search", "input": given})
        found = [
            {"type": "web_search_result", "title": each["url"], "url": each["url"], "encrypted_content": "",
             "page_age": None}
            for each in action.get("sources") or () if each.get("url")
        ]  # fmt: skip
        self._composer.whole({"type": "web_search_tool_result", "tool_use_id": ident, "content": found})

    def completed(self, data: Json) -> None:
        self._finish(data["response"], "refusal" if self._refused else "end_turn")

    def incomplete(self, data: Json) -> None:
        response = data["response"]
        reason = (response.get("incomplete_details") or {}).get("reason")
        self._finish(response, CUTS.get(reason or "", "max_tokens"))

    def _finish(self, response: Json, reason: str) -> None:
        self._composer.start(id=response.get("id") or "", model=response.get("model") or "")
        self._composer.finish(reason, openai_usage.of_responses(response.get("usage")))

    def fail(self, data: Json) -> None:
        """`response.failed` has its error in the response; an `error` event is one, or has one."""
        error = (data.get("response") or {}).get("error") or data.get("error") or data
        self._composer.fail(openai_errors.of_event(error))


_HANDLERS: dict[str, Callable[[Reader, Json], None]] = {
    "response.created": Reader.started,
    "response.output_item.added": Reader.added,
    "response.output_text.delta": Reader.text,
    "response.refusal.delta": Reader.refusal,
    "response.reasoning_summary_part.added": Reader.part,
    "response.reasoning_summary_text.delta": Reader.summary,
    "response.reasoning_text.delta": Reader.raw,
    "response.function_call_arguments.delta": Reader.arguments,
    "response.output_item.done": Reader.done,
    "response.completed": Reader.completed,
    "response.incomplete": Reader.incomplete,
    "response.failed": Reader.fail,
    "error": Reader.fail,
}
_ITEMS: dict[str, Callable[[Reader, Json, int], None]] = {
    "function_call": Reader.call,
    "custom_tool_call": Reader.custom,
    "message": Reader.message,
    "reasoning": Reader.reasoning,
    "web_search_call": Reader.search,
}


def reader(reply: Reply) -> Reader:
    return Reader(reply)


def read_answer(body: Json, reply: Reply) -> Json:
    return reduce.whole(Reader(reply).whole(body))


def _replayed(response: Json) -> Iterator[Json]:
    """The stream that a complete answer would have been."""
    status = response.get("status")
    if status == "failed" or response.get("error"):
        yield {"type": "response.failed", "response": response}
    if status in _UNFINISHED:
        yield {"type": "error", "message": f"the answer is {status}"}
    yield {"type": "response.created", "response": response}
    for index, item in enumerate(response.get("output") or ()):
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {
        "type": "response.incomplete" if status == "incomplete" else "response.completed",
        "response": response,
    }
