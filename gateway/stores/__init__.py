from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.stores.protocols import Store


KEPT = 400 * 86_400.0  # seconds that the ledger keeps a record, unless `retention=DAYSd` says otherwise


def retention(scheme: str, options: Mapping[str, str], *others: str) -> float:
    """Seconds, by the one option that every ledger has; `others` are the store's own options."""
    names = ("retention", *others)
    if unknown := set(options) - set(names):
        raise ConfigError(f"{scheme} has no option {sorted(unknown)[0]!r}; there are {', '.join(names)}")
    given = options.get("retention", "")
    found = re.fullmatch(r"([1-9]\d{0,4})d", given)
    if given and found is None:
        raise ConfigError(f"{scheme} keeps records for days, such as retention=90d, not {given!r}")
    return int(found[1]) * 86_400.0 if found else KEPT


def open_store(url: str) -> Store:
    """The store that `memory:`, `sqlite:///PATH?retention=90d` or `dynamodb://TABLE?region=…&endpoint=…` names."""
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        from gateway.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and rest.startswith("///") and len(rest) > 3:
        from gateway.stores.sqlite import SqliteStore

        path, _, options = rest[3:].partition("?")
        return SqliteStore(path, retention=retention("sqlite:///", dict(parse_qsl(options))))
    if scheme == "dynamodb":
        from gateway.stores.dynamodb import open_table

        parts = urlsplit(url)
        return open_table(parts.netloc, dict(parse_qsl(parts.query)))
    raise ConfigError(
        f"{url!r} names no store; write memory:, sqlite:///PATH or dynamodb://TABLE?region=REGION"
    )
