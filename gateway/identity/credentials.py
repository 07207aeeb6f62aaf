"""What a request shows for itself, read off its headers. Nothing here is believed yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.errors import BadRequest
from gateway.types import Headers, Scope

HEADERS = (b"x-gateway-key", b"authorization", b"x-api-key", b"x-goog-api-key")
_WANTED = frozenset(HEADERS)
_QUERY = ("access_token", "token", "key", "api_key")
_ALWAYS = ("access_token",)  # the others mean something else in many a URL, where a header has the credential
QUERY_MESSAGE = ("tokens in the query string are not accepted: they end up in logs and histories. "
                 "Send the header Authorization: Bearer TOKEN")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credential:
    header: bytes  # empty: it came in the query string
    text: str


def read(headers: Headers) -> list[Credential]:
    """Raises BadRequest where a header stands twice: two readers could take a different one."""
    found: dict[bytes, Credential] = {}
    for name, value in headers:
        key = name.lower()
        if key not in _WANTED:
            continue
        if key in found:
            raise BadRequest(f"the header {key.decode()} stands more than once")
        found[key] = Credential(key, _token(key, value))
    return [credential for key in HEADERS if (credential := found.get(key)) is not None and credential.text]


def _token(name: bytes, value: bytes) -> str:
    text = value.decode("latin-1").strip()
    if name != b"authorization":
        return text
    scheme, _, token = text.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def in_query(scope: Scope, *, alone: bool) -> list[Credential]:
    """`alone`: no header shows anything."""
    names = _QUERY if alone else _ALWAYS
    query = scope.get("query_string", b"").decode("latin-1")
    return [Credential(b"", value) for name, value in parse_qsl(query) if name in names and value]


def without(headers: Headers, used: Collection[bytes]) -> Headers:
    """The headers, less those whose credential was the gateway's: nothing inside can pass it on."""
    return [(name, value) for name, value in headers if name.lower() not in used]


def query_without(query: str) -> str:
    return "&".join(part for part in query.split("&") if part.partition("=")[0] not in _QUERY)
