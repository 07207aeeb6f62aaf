"""Converse answers, streamed and whole -> hub events and messages. A whole one is read as the stream it would be."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.llm.dialects import reduce
from gateway.llm.dialects.aws_errors import of_frame
from gateway.llm.dialects.bedrock_converse import family
from gateway.llm.dialects.composer import Composer, whole_input
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.converse_figures import STOPS, usage_of
from gateway.llm.dialects.eventstream import Frame, Splitter
from gateway.llm.dialects.openai_errors import malformed
from gateway.llm.dialects.protocol import ErrorInfo, Event, Json, Reply

_BROKEN = ("malformed_model_output", "malformed_tool_use")


class Reader:
    """One stream. Only tools announce their block; `metadata`, with the usage, comes after `messageStop`."""

    __slots__ = ("_calls", "_composer", "_foreign", "_splitter", "_stop", "_stop_sequence", "_theirs")

    def __init__(self, reply: Reply) -> None:
        self._splitter = Splitter()
        self._composer = Composer(reply)
        self._foreign = not family.claude(reply.model)
        self._calls: set[int] = set()
        self._theirs: set[int] = set()  # blocks of tools that the provider runs itself
        self._stop = ""
        self._stop_sequence: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            for frame in self._splitter.feed(chunk):
                self._frame(frame)
        except MISSHAPEN as error:
            self._composer.fail(malformed(error))
        return self._composer.drain()

    def whole(self, body: Json) -> list[Event]:
        """The events of a complete answer."""
        try:
            self.take("messageStart", {})
            for index, block in enumerate(body["output"]["message"]["content"]):
                _replay(self, index, block)
            self.take("messageStop", body)
            self.take("metadata", body)
        except MISSHAPEN as error:
            self._composer.fail(malformed(error))
        return self._composer.drain()

    def end(self) -> list[Event]:
        self._finish({})
        return self._composer.drain()

    def _frame(self, frame: Frame) -> None:
        if (info := of_frame(frame)) is not None:
            self._composer.fail(info, retry=info.status in (500, 529))
        else:
            self.take(frame.headers.get(":event-type") or "", orjson.loads(frame.payload))

    def take(self, kind: str, data: Json) -> None:
        handler = _HANDLERS.get(kind)
        if handler is not None and not self._composer.over:
            handler(self, data)

    def opened(self, data: Json) -> None:
        self._composer.start()

    def block(self, data: Json) -> None:
        index, call = data["contentBlockIndex"], (data.get("start") or {}).get("toolUse")
        if call is None or call.get("type") == "server_tool_use":
            self._theirs.add(index)
            return
        self._calls.add(index)
        self._composer.tool(index, name=call["name"], id=call["toolUseId"])

    def delta(self, data: Json) -> None:
        index, delta = data["contentBlockIndex"], data["delta"]
        if index in self._theirs:
            return
        if "text" in delta:
            self._composer.text(delta["text"])
        elif "toolUse" in delta:
            self._composer.arguments(index, delta["toolUse"].get("input") or "")
        elif "reasoningContent" in delta:
            self._reasoning(delta["reasoningContent"])

    def _reasoning(self, delta: Mapping[str, Any]) -> None:
        if "text" in delta:
            self._composer.thinking(delta["text"])
        elif self._foreign:
            return
        elif delta.get("signature"):
            self._composer.sign(delta["signature"])
        elif "redactedContent" in delta:
            data = b64decode(delta["redactedContent"]).decode()
            self._composer.whole({"type": "redacted_thinking", "data": data})

    def closed(self, data: Json) -> None:
        index = data["contentBlockIndex"]
        if index in self._calls:
            self._composer.done(index)
        elif index not in self._theirs:
            self._composer.close()

    def stopped(self, data: Json) -> None:
        self._stop = data.get("stopReason") or "end_turn"
        extra = data.get("additionalModelResponseFields") or {}
        self._stop_sequence = extra.get("stop_sequence") if isinstance(extra, dict) else None

    def metadata(self, data: Json) -> None:
        self._finish(data)

    def _finish(self, data: Json) -> None:
        if not self._stop:
            self._composer.cut()
        elif self._stop in _BROKEN:
            message = "the model wrote an answer that its provider could not read"
            self._composer.fail(ErrorInfo(500, "api_error", message), retry=True)
        else:
            reason = STOPS.get(self._stop, "end_turn")
            self._composer.finish(reason, usage_of(data.get("usage")), stop_sequence=self._stop_sequence)


_HANDLERS: dict[str, Callable[[Reader, Json], None]] = {
    "messageStart": Reader.opened,
    "contentBlockStart": Reader.block,
    "contentBlockDelta": Reader.delta,
    "contentBlockStop": Reader.closed,
    "messageStop": Reader.stopped,
    "metadata": Reader.metadata,
}


def reader(reply: Reply) -> Reader:
    return Reader(reply)


def read_answer(body: Json, reply: Reply) -> Json:
    return reduce.whole(Reader(reply).whole(body))


def _replay(whole: Reader, index: int, block: Json) -> None:
    at = {"contentBlockIndex": index}
    if "toolUse" in block:
        call = block["toolUse"]
        whole.take("contentBlockStart", {**at, "start": {"toolUse": call}})
        deltas: list[Json] = [{"toolUse": {"input": whole_input(call.get("input"))}}]
    elif "reasoningContent" in block:
        reasoning = block["reasoningContent"]
        parts = reasoning.get("reasoningText") or {"redactedContent": reasoning.get("redactedContent")}
        deltas = [{"reasoningContent": {key: value}} for key, value in parts.items() if value]
    else:
        deltas = [{"text": block["text"]}] if "text" in block else []
    for delta in deltas:
        whole.take("contentBlockDelta", {**at, "delta": delta})
    whole.take("contentBlockStop", at)
