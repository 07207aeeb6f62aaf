"""Answers that come compressed although none was asked for: looked into up to a bound, or not at all."""

from __future__ import annotations

import zlib

LIMIT = 64 * 1024 * 1024


class Inflater:
    """gzip or deflate, piece by piece. What is too large or broken is simply not looked into any further."""

    __slots__ = ("_left", "_zlib")

    def __init__(self, limit: int = LIMIT) -> None:
        self._left = limit
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, data: bytes) -> bytes:
        if self._left <= 0:
            return b""
        try:
            plain = self._zlib.decompress(data, self._left)
        except zlib.error:
            self._left = 0
            return b""
        self._left -= len(plain)
        return plain


def inflater(encoding: bytes) -> Inflater | None:
    """None where the bytes are plain. Other codings are read as nothing."""
    if encoding in (b"", b"identity"):
        return None
    return Inflater(LIMIT if encoding in (b"gzip", b"x-gzip", b"deflate") else 0)


def plain(body: bytes, encoding: bytes) -> bytes:
    """A whole body as it was before it was compressed; b"" where that cannot be told."""
    inflate = inflater(encoding)
    return body if inflate is None else inflate.feed(body)
