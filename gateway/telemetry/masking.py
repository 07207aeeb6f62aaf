"""What the audit writes of a tool's arguments: everything but what is named, and what is named as secret everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

MASKED: Final = "***"
LONGEST: Final = 2000
DEEPEST: Final = 20
SECRET_NAMES: Final = (
    "password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credential", "credentials",
    "private_key", "access_key", "client_secret", "refresh_token", "access_token", "cookie", "session_token",
)  # fmt: skip


class Masking:
    """Masks values by the name they stand under (any depth, any case), and strings by `scrub`.

    `Masking(["content"], scrub=mask_secrets)({"path": "/a", "content": "…"})` is `{"path": "/a", "content": "***"}`.
    """

    def __init__(self, names: Iterable[str] = (), *, scrub: Callable[[str], str] | None = None) -> None:
        self._names = frozenset(_plain(name) for name in (*SECRET_NAMES, *names))
        self._scrub = scrub

    def __call__(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if depth > DEEPEST:
            return MASKED
        if isinstance(value, Mapping):
            return {
                str(name): MASKED if _plain(str(name)) in self._names else self(inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self(inner, depth + 1) for inner in value]
        return value

    def _text(self, text: str) -> str:
        if self._scrub is not None:
            text = self._scrub(text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (+{len(text) - LONGEST})"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
