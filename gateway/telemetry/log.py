"""Lines of JSON to a file descriptor: encoded by orjson, written by one `os.write` a batch, off the request's path.

JSON escapes CR, LF and control characters; what remains dangerous to a terminal (C1 controls, DEL, direction overrides, the
line separators) is escaped as well, so that no value can forge a line or move a reader's cursor.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

import orjson

_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
FULL = 64  # lines


def encode(line: Mapping[str, Any]) -> bytes:
    """One line, newline included."""
    encoded = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)
    if not encoded.isascii() or b"\x7f" in encoded:
        encoded = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", encoded.decode()).encode()
    return encoded + b"\n"


class LineWriter:
    """Gathers lines and writes them together at the end of the loop's turn; without a loop at once.

    `LineWriter(1).write({"at": 1.0, "path": "/v1/messages"})`. Lines that the descriptor does not take
    are lost and counted in `dropped`.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._lines: list[bytes] = []
        self.dropped = 0

    def write(self, line: Mapping[str, Any]) -> None:
        self._lines.append(encode(line))
        if len(self._lines) >= FULL:
            self.flush()
        elif len(self._lines) == 1:
            self._later()

    def _later(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            _write_all(self._fd, b"".join(lines))
        except OSError:
            self.dropped += len(lines)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])
