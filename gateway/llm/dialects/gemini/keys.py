"""protobuf's JSON takes a field's name in camelCase and in snake_case."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects.protocol import Json


@lru_cache(maxsize=512)
def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def camel(value: Any) -> Json:
    """One object with its own keys in camelCase; never what is below, which may be a user's data."""
    if not isinstance(value, dict):
        raise BadRequest("an object was expected where the request has something else")
    if not any("_" in key for key in value):
        return value
    return {_camel(key): item for key, item in value.items()}


def many(value: Any) -> list[Any]:
    """A repeated field: protobuf's JSON lets a single one stand without its list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
