"""Reads what an answer says of its usage while its bytes pass by, in the shapes of Anthropic, OpenAI, Gemini and Bedrock.

For an app that does not tell (LLMApp does): nothing is held back, and only frames that hold a usage are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway import sse
from gateway.errors import UNREADABLE
from gateway.metering.usage import Usage

WHOLE = 8 * 1024 * 1024  # of a JSON answer, as much is kept to find the usage in it
_USAGE = re.compile(rb'"usage(?:Metadata)?"\s*:\s*\{')
_WORDS = re.compile(
    rb'"(?:text|thinking|partial_json|content|reasoning_content|arguments|delta|refusal)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"'
)
# The Responses API says everything again when it is done: only its deltas are counted.
_DELTAS = re.compile(rb'"delta"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_RESPONSES = re.compile(rb'"type"\s*:\s*"response\.')
_HEAD = 200  # bytes in which a stream shows whose it is
_decode = msgspec.json.Decoder(dict[str, Any]).decode
Json = Mapping[str, Any]


def written(data: bytes) -> int:
    """The bytes of text, thoughts and arguments in an answer or a part of one. A coded letter counts as the two it stands for."""
    pattern = _DELTAS if _RESPONSES.search(data, 0, _HEAD) else _WORDS
    found = pattern.findall(data)
    coded = sum(words.count(b"\\u") for words in found) if b"\\u" in data else 0
    return sum(map(len, found)) - 4 * coded


class Watcher:
    """`feed` each chunk as it passes; afterwards `usage`, whether it is the final one, and how much was written."""

    def __init__(self, *, stream: bool) -> None:
        self._splitter = sse.Splitter() if stream else None
        self._parts: list[bytes] = []
        self._size = 0
        self._figures: dict[str, int] = {}
        self.final = False
        self.written = 0  # bytes of text, thoughts and arguments

    def feed(self, chunk: bytes) -> None:
        if self._splitter is not None:
            for frame in self._splitter.feed(chunk):
                self._frame(frame)
        elif self._size < WHOLE:
            self._parts.append(chunk)
            self._size += len(chunk)

    def end(self) -> None:
        """The answer is over, or cut."""
        if self._splitter is None:
            self._take(b"".join(self._parts))
            self._parts = []
            self.final = bool(self._figures)

    @property
    def usage(self) -> Usage | None:
        if not self._figures:
            return None
        return Usage(**{name: max(0, tokens) for name, tokens in self._figures.items()})  # type: ignore[arg-type]

    def _frame(self, frame: bytes) -> None:
        if _USAGE.search(frame) is None:
            self.written += written(frame)
            return
        event = sse.parse(frame)
        if event is not None:
            self._take(event.data)

    def _take(self, data: bytes) -> None:
        self.written += written(data)
        try:
            tree = _decode(data)
        except UNREADABLE:
            return
        for part in (tree, tree.get("message"), tree.get("response")):  # message_start; response.completed
            if isinstance(part, dict):
                self._figures.update(_figures(part))
        self.final = self.final or tree.get("type") != "message_start"


def _figures(tree: Json) -> dict[str, int]:
    usage = tree.get("usage")
    if isinstance(usage, dict):
        if "prompt_tokens" in usage:
            return _chat(usage)
        if "inputTokens" in usage:
            return _converse(usage)
        return _responses(usage) if "input_tokens_details" in usage else _anthropic(usage)
    meta = tree.get("usageMetadata")
    return _gemini(meta) if isinstance(meta, dict) else {}


def _anthropic(usage: Json) -> dict[str, int]:
    """Each event names what it knows; what it leaves out stays as it was."""
    found = {"input": usage.get("input_tokens"), "output": usage.get("output_tokens"),
             "cache_read": usage.get("cache_read_input_tokens"), "cache_write": usage.get("cache_creation_input_tokens")}  # fmt: skip
    kinds = usage.get("cache_creation")
    if isinstance(kinds, dict):
        hour = _whole(kinds.get("ephemeral_1h_input_tokens"))
        found["cache_write_1h"] = hour
        found["cache_write"] = _whole(found["cache_write"]) - hour
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _chat(usage: Json) -> dict[str, int]:
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    prompt = _whole(usage.get("prompt_tokens"))
    return {"input": prompt - cached, "output": _whole(usage.get("completion_tokens")), "cache_read": cached,
            "reasoning": reasoning}  # fmt: skip


def _responses(usage: Json) -> dict[str, int]:
    cached = _detail(usage, "input_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "output_tokens_details", "reasoning_tokens")
    return {"input": _whole(usage.get("input_tokens")) - cached, "output": _whole(usage.get("output_tokens")),
            "cache_read": cached, "reasoning": reasoning}  # fmt: skip


def _gemini(meta: Json) -> dict[str, int]:
    cached, thoughts = _whole(meta.get("cachedContentTokenCount")), _whole(meta.get("thoughtsTokenCount"))
    prompt = _whole(meta.get("promptTokenCount")) + _whole(meta.get("toolUsePromptTokenCount"))
    return {"input": prompt - cached, "output": _whole(meta.get("candidatesTokenCount")) + thoughts,
            "cache_read": cached, "reasoning": thoughts}  # fmt: skip


def _converse(usage: Json) -> dict[str, int]:
    return {"input": _whole(usage.get("inputTokens")), "output": _whole(usage.get("outputTokens")),
            "cache_read": _whole(usage.get("cacheReadInputTokens")),
            "cache_write": _whole(usage.get("cacheWriteInputTokens"))}  # fmt: skip


def _detail(usage: Json, group: str, name: str) -> int:
    details = usage.get(group)
    return _whole(details.get(name)) if isinstance(details, dict) else 0


def _whole(value: Any) -> int:
    return value if type(value) is int else 0
