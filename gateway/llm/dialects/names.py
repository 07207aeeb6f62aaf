"""Tool names on their way to an upstream that allows less than the client does, and back."""

from __future__ import annotations

import re
from hashlib import blake2b

OPENAI = re.compile(r"[A-Za-z0-9_-]{1,64}")  # OpenAI and Converse
ANTHROPIC = re.compile(r"[A-Za-z0-9_-]{1,128}")
GEMINI = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")

_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


class Names:
    """Names that fit go as they are; others become a readable prefix and a hash, the same one every time.

    One object per request; `back` restores the client's names in the reply.
    """

    __slots__ = ("_allowed", "_limit", "_sent", "back")

    def __init__(self, allowed: re.Pattern[str] = OPENAI, *, limit: int = 64) -> None:
        self._allowed = allowed
        self._limit = limit
        self._sent: dict[str, str] = {}
        self.back: dict[str, str] = {}

    def send(self, name: str) -> str:
        sent = self._sent.get(name)
        if sent is None:
            sent = self._sent[name] = name if self._allowed.fullmatch(name) else self._short(name)
            if sent != name:
                self.back[sent] = name
        return sent

    def _short(self, name: str) -> str:
        prefix = _ILLEGAL.sub("_", name)
        if not prefix[:1].isalpha():
            prefix = "t" + prefix
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
        return f"{prefix[: self._limit - len(digest) - 1]}_{digest}"
