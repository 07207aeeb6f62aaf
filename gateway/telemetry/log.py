"""Lines of JSON to a file descriptor: encoded together and written by one `os.write` a batch, off the requests' path.

JSON escapes CR, LF and control characters; what remains dangerous to a terminal (C1 controls, DEL, direction overrides, the
line separators) is escaped as well, so that no value can forge a line or move a reader's cursor.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Line = Mapping[str, Any] | msgspec.Struct
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_encode_lines = msgspec.json.Encoder(enc_hook=str).encode_lines
FULL = 64  # lines
LINGER = 0.05  # seconds


def encode(lines: Sequence[Line]) -> bytes:
    """Each with its newline."""
    try:
        encoded = _encode_lines(lines)
    except UnicodeEncodeError:  # half of a pair of surrogates, as a token's claim may hold it
        plain = (json.dumps(msgspec.to_builtins(line, enc_hook=str)) + "\n" for line in lines)
        encoded = "".join(plain).encode()
    if not encoded.isascii() or 0x7F in encoded:
        encoded = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", encoded.decode()).encode()
    return encoded


class LineWriter:
    """Gathers lines and writes them together, `linger` seconds after the first of them; with `linger=0` or without a loop
    each at once.

    `LineWriter(1).write({"at": 1.0, "path": "/v1/messages"})`. Nobody may change a line that was written. Those that the
    descriptor does not take are lost and counted in `dropped`.
    """

    def __init__(self, fd: int = 1, *, linger: float = LINGER) -> None:
        self._fd = fd
        self._linger = linger
        self._full = FULL if linger else 1
        self._lines: list[Line] = []
        self.dropped = 0

    def write(self, line: Line) -> None:
        lines = self._lines
        lines.append(line)
        if len(lines) >= self._full:
            self.flush()
        elif len(lines) == 1:
            self._later()

    def _later(self) -> None:
        try:
            asyncio.get_running_loop().call_later(self._linger, self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            _write_all(self._fd, encode(lines))
        except OSError:
            self.dropped += len(lines)

    def close(self) -> None:
        """What waits is written now, and what still comes at once."""
        self._full = 1
        self.flush()


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])
