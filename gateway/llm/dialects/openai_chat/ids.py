"""Call ids within what a chat provider takes. The same id always becomes the same one, so nothing is remembered."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

LONGEST = 40


@lru_cache(maxsize=4096)
def call_id(ident: str, quirks: frozenset[str]) -> str:
    if "nine" in quirks:
        fits = len(ident) == 9 and ident.isascii() and ident.isalnum()
        return ident if fits else blake2b(ident.encode(), digest_size=5).hexdigest()[:9]
    if len(ident) <= LONGEST:
        return ident
    return "call_" + blake2b(ident.encode(), digest_size=16).hexdigest()
