"""Changing a few top-level members of a JSON body whose every other byte stays as the client wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _members(body)
    except msgspec.DecodeError as error:
        raise BadRequest("the body is not a JSON object") from error


def value(found: Mapping[str, msgspec.Raw], key: str) -> Any:
    """One member, decoded; None where there is none."""
    return msgspec.json.decode(found[key]) if key in found else None


def patch(body: bytes, changes: Mapping[str, Any], *, drop: frozenset[str] = frozenset()) -> bytes:
    """The body with these members set and those left out; the same bytes where nothing changes."""
    found = members(body)
    new = {k: v for k, v in changes.items() if k not in found or value(found, k) != v}
    if not new and not drop & found.keys():
        return body
    kept: dict[str, Any] = {k: v for k, v in found.items() if k not in drop}
    return _encode(kept | new)
