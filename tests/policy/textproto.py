"""As much of protobuf's text format as the CEL conformance cases use: a message is a list of (name, value)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<punct>[{}\[\]<>:,;])|(?P<string>(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))|(?P<word>[^\s{}\[\]<>:,;"'#]+)"""
)
Message = list[tuple[str, Any]]


def parse(text: str) -> Message:
    tokens = [(m.lastgroup, m.group()) for m in _TOKEN.finditer(text) if m.lastgroup]
    return _message(iter([*tokens, ("end", "")]))


def _message(tokens: Iterator[tuple[str | None, str]]) -> Message:
    found: Message = []
    name = ""
    pending: list[Any] = []
    for kind, text in tokens:
        if kind == "string" and name:
            pending.append(_string(text))
            continue
        if pending:
            found.append((name, b"".join(pending)))
            name, pending = "", []
        if kind == "end" or text in "}>":
            return found
        if text in "{<":
            found.append((name, _message(tokens)))
            name = ""
        elif text == "[" and not name:
            name = "[" + "".join(_until(tokens, "]")) + "]"
        elif kind == "word" and name:
            found.append((name, text))
            name = ""
        elif kind == "word":
            name = text
    return found


def _until(tokens: Iterator[tuple[str | None, str]], end: str) -> Iterator[str]:
    for _, text in tokens:
        if text == end:
            return
        yield text


def _string(text: str) -> bytes:
    plain = re.sub(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|.)", _unicode, text)
    found = ast.literal_eval("b" + re.sub(r"[^\x00-\x7f]", lambda match: _escaped(match.group()), plain))
    assert isinstance(found, bytes)
    return found


def _unicode(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return _escaped(chr(int(code, 16))) if code else match.group()


def _escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())
