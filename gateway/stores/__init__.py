from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.stores.protocols import Store


def open_store(url: str) -> Store:
    """The store that `memory:`, `sqlite:///PATH` or `dynamodb://TABLE?region=…&endpoint=…` names."""
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        from gateway.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and rest.startswith("///") and len(rest) > 3:
        from gateway.stores.sqlite import SqliteStore

        return SqliteStore(rest[3:])
    if scheme == "dynamodb":
        from gateway.stores.dynamodb import open_table

        parts = urlsplit(url)
        return open_table(parts.netloc, dict(parse_qsl(parts.query)))
    raise ConfigError(
        f"{url!r} names no store; write memory:, sqlite:///PATH or dynamodb://TABLE?region=REGION"
    )
