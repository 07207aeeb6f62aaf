"""What a request shows for itself, read off its headers. Nothing here is believed yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from gateway.errors import BadRequest
from gateway.types import Headers, Scope

# Servers give names in lower case.
HEADERS = ("x-gateway-key", "authorization", "x-api-key", "x-goog-api-key")
_QUERY = ("access_token", "token", "key", "api_key")
_MENTIONED = re.compile(rb"token|key|[%]")  # some of these may stand in the query
_ALWAYS = ("access_token",)  # the others mean something else in many a URL, where a header has the credential
QUERY_MESSAGE = ("tokens in the query string are not accepted: they end up in logs and histories. "
                 "Send the header Authorization: Bearer TOKEN")  # fmt: skip


class Credential(msgspec.Struct, frozen=True, gc=False):
    header: str  # empty: it came in the query string
    text: str


def read(names: Mapping[str, str], headers: Headers) -> list[Credential]:
    """`names` are the headers by name, `headers` every copy. Raises BadRequest where one stands twice: two readers could
    take a different one."""
    found = []
    for name in HEADERS:
        value = names.get(name)
        if value is None:
            continue
        if len(names) != len(headers) and _copies(name, headers) > 1:
            raise BadRequest(f"the header {name} stands more than once")
        if text := _token(name, value):
            found.append(Credential(name, text))
    return found


def mentioned(query: bytes) -> bool:
    """Whether a credential may stand in this query string."""
    return bool(query) and _MENTIONED.search(query) is not None


def _copies(name: str, headers: Headers) -> int:
    wanted = name.encode()
    return sum(key == wanted for key, _ in headers)


def _token(name: str, value: str) -> str:
    text = value.strip()
    if name != "authorization":
        return text
    scheme, _, token = text.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def in_query(scope: Scope, *, alone: bool) -> list[Credential]:
    """`alone`: no header shows anything."""
    names = _QUERY if alone else _ALWAYS
    query = scope.get("query_string", b"").decode("latin-1")
    return [Credential("", value) for name, value in parse_qsl(query) if name in names and value]


def query_without(query: str) -> str:
    return "&".join(part for part in query.split("&") if part.partition("=")[0] not in _QUERY)
