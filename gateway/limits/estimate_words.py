"""What of a request's JSON a model is given as words, whatever the dialect: ids, kinds and wrapping left out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
# Never seen by a model, or of no size in its prompt.
_WRAPPING = frozenset({"role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "toolUseId", "status", "signature", "format",
                       "cache_control", "cachePoint", "detail", "media_type", "mimeType", "mime_type", "annotations", "logprobs",
                       "encrypted_content", "redactedContent", "index", "prefix", "phase", "is_error", "qualifiers", "caller"})  # fmt: skip
_THOUGHTS = frozenset({"thinking", "reasoning", "reasoning_content", "reasoningContent"})
# JSON that a model sees as JSON.
_GIVEN = frozenset({"input", "args", "arguments", "response", "json", "tools"})
_SIGNATURES = frozenset({"thoughtSignature", "thought_signature"})
_DATA = frozenset({"data", "url", "bytes", "image_url"})
_RESULTS = ("functionResponse", "function_response", "toolResult")
_CALLS = frozenset({*_RESULTS, "functionCall", "function_call", "toolUse"})
_CALL_TYPES = frozenset({"tool_use", "tool_result", "function", "function_call", "function_call_output"})
_TAG = ("<think>", "\n<think>")
SHORTEST = 80  # characters of something encoded


class Words:
    """`words.read(…)` for each of the request's fields; then they can be counted."""

    __slots__ = ("begins", "calls", "messages", "pictures", "signed", "tagged", "texts", "thoughts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []  # of this turn: a provider drops those of turns before
        self.tagged: list[str] = []  # thoughts that stand in tags before an answer's words
        self.signed = 0  # bytes of signatures that stand for thoughts of this turn
        self.pictures: list[tuple[str, str]] = []  # base64, and how closely it is looked at
        self.messages = 0
        self.begins = False  # whether a turn does, so that thoughts before it are none of this turn
        self.calls = 0  # of tools, and their results

    def read(self, node: Any) -> None:
        """A field of the request: messages, a system prompt, contents, input …"""
        if type(node) is list:
            for each in node:
                if type(each) is dict and "role" in each:
                    self._message(each)
                else:
                    self._part(each)
        else:
            self.messages += type(node) is str
            self._part(node)

    def _message(self, message: Mapping[str, Any]) -> None:
        self.messages += 1
        if message["role"] == "user" and not _is_result(message):
            self.thoughts.clear()
            self.signed = 0
            self.begins = True
        self._part(message)

    def _part(self, node: Any) -> None:
        kind = type(node)
        if kind is str:
            self.texts.append(node)
        elif kind is list:
            for each in node:
                self._part(each)
        elif kind is dict:
            self.calls += str(node.get("type")) in _CALL_TYPES
            for key, value in node.items():
                if value and key not in _WRAPPING:
                    self._field(key, value, node)

    def _field(self, key: str, value: Any, node: Mapping[str, Any]) -> None:
        if type(value) is str:
            if key in _DATA and len(value) > SHORTEST:
                self._encoded(value, node)
            elif key in _SIGNATURES:
                self.signed += len(value)
            else:
                self._text(key, value)
        elif key in _THOUGHTS:
            self.thoughts.append(_encode(value).decode())
        elif key in _GIVEN and type(value) in (dict, list):
            self.texts.append(_encode(value).decode())
        else:
            self.calls += key in _CALLS
            self._part(value)

    def _text(self, key: str, value: str) -> None:
        if value.startswith(_TAG):
            thought, _, value = value.partition("</think>")
            self.tagged.append(thought)
        (self.thoughts if key in _THOUGHTS else self.texts).append(value)

    def _encoded(self, value: str, node: Mapping[str, Any]) -> None:
        head, _, data = value.rpartition(";base64,")
        kind = head[5:] or node.get("mimeType") or node.get("mime_type") or node.get("media_type") or ""
        if str(kind).startswith("text/"):
            self.texts.append(base64.urlsafe_b64decode(data + "===").decode(errors="replace"))
        elif head or not value.startswith("http"):
            self.pictures.append((data, str(node.get("detail", ""))))


def _is_result(message: Mapping[str, Any]) -> bool:
    parts = message.get("content") or message.get("parts")
    last = parts[-1] if type(parts) is list and parts else None
    return type(last) is dict and (
        last.get("type") == "tool_result" or any(name in last for name in _RESULTS)
    )
