"""What the audit writes of a tool's arguments: everything but what is named, and what is named as secret everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway.guards.findings import Scanner

MASKED: Final = "***"
LONGEST: Final = 2000
DEEPEST: Final = 20
# Text without any of these holds no credential; asking that first costs a twentieth of the scan.
_SUSPECT: Final = r"(?i)[a-z0-9_+-]{16}|pass|pwd|secret|token|key|auth|cred|://"
SECRET_NAMES: Final = (
    "password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credential", "credentials",
    "private_key", "access_key", "client_secret", "refresh_token", "access_token", "cookie", "session_token",
)  # fmt: skip
_CREDENTIAL: Final = re.compile("auth|key|token|secret|cookie|password|credential|signature", re.IGNORECASE)


def credential(header: str) -> bool:
    """Whether a header of this name may carry one."""
    return _CREDENTIAL.search(header) is not None


class Masking:
    """Masks values by the name they stand under (any depth, any case), and in strings what `scrub` finds: credentials, as
    the guard's scanner knows them, where nothing else is given.

    `Masking(["content"], scrub=mask_secrets)({"path": "/a", "content": "…"})` is `{"path": "/a", "content": "***"}`.
    """

    def __init__(self, names: Iterable[str] = (), *, scrub: Callable[[str], str] | None = None) -> None:
        self._names = frozenset(_plain(name) for name in (*SECRET_NAMES, *names))
        self._scrub = scrub or without_secrets

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
        kept = self._scrub(text[:LONGEST])
        return kept if len(text) <= LONGEST else f"{kept}… (+{len(text) - LONGEST})"


def without_secrets(text: str) -> str:
    """The text with stars for every credential in it."""
    if not _suspicious()(text):
        return text
    from gateway.guards.findings import Sample  # not before there is something to mask

    scanner = _scanner()
    found = [each for each in scanner.scan(Sample(text)) if each.score >= scanner.threshold]
    for each in sorted(found, key=lambda each: each.start, reverse=True):
        text = text[: each.start] + MASKED + text[each.end :]
    return text


@cache
def _suspicious() -> Callable[[str], object]:
    import re2

    search: Callable[[str], object] = re2.compile(_SUSPECT).search
    return search


@cache
def _scanner() -> Scanner:
    from gateway.guards.secrets import Secrets

    return Secrets()


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
