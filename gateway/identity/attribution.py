"""Whom a call is charged to. What a verified claim says beats what a header says, and a header's word is marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from gateway.call import Attribution, Principal
from gateway.errors import ConfigError
from gateway.heads import CHANGING

Field = Literal["user", "agent", "project"]
USER = ("jwt.email", "jwt.preferred_username", "key.owner", "jwt.sub")
AGENT = ("jwt.agent", "key.agent", "jwt.azp", "jwt.client_id", "header:x-claude-code-agent-id")
PROJECT = ("jwt.project", "key.project")
SESSION = ("x-claude-code-session-id", "mcp-session-id")
LENGTH = 200
REMEMBERED = 4096  # callers, each with what their headers say
_CLAIMS = ("jwt", "key", "principal")


class Source(Struct, frozen=True):
    """`jwt.email`, `key.owner` or `header:x-team-user`."""

    where: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Source:
        if text.lower().startswith("header:"):
            return cls("header", (text[7:].strip().lower(),))
        where, _, path = text.partition(".")
        if where not in _CLAIMS or not path:
            raise ConfigError(
                f"attribution: {text} is neither a claim (jwt.email, key.owner) nor header:NAME"
            )
        return cls(where, tuple(path.split(".")))

    def read(self, principal: Principal, headers: Mapping[str, str]) -> str:
        if self.where == "header":
            return _clean(headers.get(self.path[0], ""))
        value: Any = _claims(self.where, principal)
        for name in self.path:
            if value is None:
                return ""
            value = value.get(name) if isinstance(value, Mapping) else None
        return _clean(value) if isinstance(value, str) else ""


def _claims(where: str, principal: Principal) -> Mapping[str, Any] | None:
    if where == "jwt":
        return principal.claims
    return principal.key if where == "key" else {"id": principal.id, "name": principal.name}


def _clean(text: str) -> str:
    """It goes to logs, labels and terminals."""
    if text.isprintable():
        return text[:LENGTH].strip()
    return "".join(character for character in text[:LENGTH] if character.isprintable()).strip()


class Attributing:
    """`Attributing(user=["jwt.email", "header:x-team-user"], required=["user"])`; what is not given has a default."""

    def __init__(
        self,
        *,
        user: Sequence[str] = USER,
        agent: Sequence[str] = AGENT,
        project: Sequence[str] = PROJECT,
        required: Sequence[Field] = (),
    ) -> None:
        self._sources = {name: _claims_first(texts) for name, texts in (("user", user), ("agent", agent), ("project", project))}  # fmt: skip
        self.required = tuple(required)
        named = {
            source.path[0]
            for sources in self._sources.values()
            for source in sources
            if source.where == "header"
        }
        self._headers = (*sorted(named), *SESSION)
        self.changes = not CHANGING.isdisjoint(name.encode("latin-1") for name in named)  # from call to call
        self._known: dict[tuple[Any, ...], tuple[Principal, Attribution]] = {}

    def of(self, principal: Principal, headers: Mapping[str, str]) -> Attribution:
        """Remembered: a caller says the same with every request of a session."""
        said = tuple(map(headers.get, self._headers))
        key = (id(principal), said)
        known = self._known.get(key)
        if known is not None and known[0] is principal:
            return known[1]
        found = self._read(principal, headers)
        if all(text is None or len(text) <= LENGTH for text in said):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = (principal, found)
        return found

    def _read(self, principal: Principal, headers: Mapping[str, str]) -> Attribution:
        found: dict[str, str] = {}
        unverified: set[str] = set()
        absent = [
            where for where, claims in (("jwt", principal.claims), ("key", principal.key)) if claims is None
        ]
        for field, sources in self._sources.items():
            for source in sources:
                if source.where not in absent and (value := source.read(principal, headers)):
                    found[field] = value
                    if source.where == "header":
                        unverified.add(field)
                    break
        session = next((_clean(headers[name]) for name in SESSION if headers.get(name)), "")
        if session:
            unverified.add("session")
        return Attribution(**found, session=session, unverified=frozenset(unverified))

    def missing(self, attribution: Attribution) -> str:
        """What a refusal says of a call that lacks what is required; empty where nothing is."""
        if not self.required:
            return ""
        names = [name for name in self.required if not getattr(attribution, name)]
        if not names:
            return ""
        hints = [f"{name} ({' or '.join(map(_shown, self._sources[name]))})" for name in names]
        return f"this gateway charges each call to somebody: {', '.join(hints)} is missing"


def _claims_first(texts: Sequence[str]) -> list[Source]:
    return sorted((Source.of(text) for text in texts), key=lambda source: source.where == "header")


def _shown(source: Source) -> str:
    return (
        f"header {source.path[0]}" if source.where == "header" else f"{source.where}.{'.'.join(source.path)}"
    )
