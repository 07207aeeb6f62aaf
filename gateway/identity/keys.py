"""Virtual keys: made here, shown once, kept only as hashes.

A key carries its id in the clear, so the store is asked for exactly one document, by a name that has the shape of an id; its
secret half is compared in constant time. What was found is remembered for a while; a key that is revoked is also switched
off, so that no instance goes on remembering it for longer than a second.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.call import Principal
from gateway.policy.switches import Switch, throw
from gateway.stores.protocols import Documents

DOCUMENTS = "key"
REMEMBERED = 60.0  # seconds
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
_SHAPE = re.compile(r"gwk_([0-9A-Za-z]{10})_([0-9A-Za-z]{32})")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class NewKey(Struct, frozen=True):
    id: str
    text: str  # shown once, and never again
    document: Mapping[str, Any]


def make(
    *,
    owner: str,
    groups: Sequence[str] = (),
    models: Sequence[str] = (),
    scopes: Sequence[str] = (),
    agent: str = "",
    limits: Sequence[Mapping[str, Any]] = (),
    expires: float | None = None,
    at: float,
) -> NewKey:
    key_id, secret = (_random(10), _random(32))
    text = f"gwk_{key_id}_{secret}"
    document = {"id": key_id, "hash": digest(text), "owner": owner, "groups": list(groups), "models": list(models),
                "scopes": list(scopes), "agent": agent, "limits": list(limits), "created": at, "expires": expires, "revoked": None}  # fmt: skip
    return NewKey(key_id, text, document)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


async def add(store: Documents, key: NewKey) -> None:
    await store.put(DOCUMENTS, key.id, key.document, expect=0)


async def revoke(store: Documents, key_id: str, *, at: float, reason: str = "revoked") -> bool:
    """False where there is no such key. Stops its running calls too."""
    item = await store.get(DOCUMENTS, key_id)
    if item is None:
        return False
    await store.put(DOCUMENTS, key_id, {**item.value, "revoked": at})
    await throw(store, Switch("key", key_id, reason, at + 10 * REMEMBERED, at))
    return True


async def made(store: Documents) -> list[Mapping[str, Any]]:
    """The documents of all keys in the store."""
    found: list[Mapping[str, Any]] = []
    after = ""
    while page := await store.list(DOCUMENTS, after=after):
        found += [item.value for _, item in page]
        after = page[-1][0]
    return found


class Found(Protocol):
    """Where keys are looked up. Raises StoreError."""

    async def find(self, text: str) -> Principal | None: ...


class ListedKeys:
    """Keys from the configuration: `ListedKeys([{"key": "…", "owner": "ada"}])`. Hashed as they are read."""

    def __init__(self, keys: Sequence[Mapping[str, Any]], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys = {document["hash"]: document for document in listed(keys)}

    async def find(self, text: str) -> Principal | None:
        hashed = digest(text)
        document = self._keys.get(hashed)
        return None if document is None else _checked(document, hashed, self._clock())


def listed(keys: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The documents that stand for keys which are written down somewhere else."""
    found: list[Mapping[str, Any]] = []
    for entry in keys:
        hashed = digest(entry["key"])
        facts = {name: value for name, value in entry.items() if name != "key"}
        found.append({"id": hashed[:10], "owner": "", **facts, "hash": hashed})
    return found


class StoredKeys:
    """Keys that `gateway keys create` made."""

    def __init__(self, store: Documents, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def find(self, text: str) -> Principal | None:
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            return None
        item = await self._store.get(DOCUMENTS, shape[1])
        return None if item is None else _checked(item.value, digest(text), self._clock())


def _checked(document: Mapping[str, Any], hashed: str, now: float) -> Principal | None:
    expires = document.get("expires")
    if not hmac.compare_digest(str(document.get("hash", "")), hashed) or document.get("revoked"):
        return None
    if expires is not None and expires <= now:
        return None
    shown = {name: value for name, value in document.items() if name not in ("hash", "revoked")}
    return Principal(
        f"key:{document['id']}",
        "key",
        name=str(document.get("owner") or document["id"]),
        groups=tuple(document.get("groups") or ()),
        scopes=frozenset(document.get("scopes") or ()),
        key=shown,
        expires=min(now + REMEMBERED, expires if expires is not None else float("inf")),
    )
