"""Definitions of tools, pinned by hash: what changed or is new is held back until an operator has seen it.

The hash is of the upstream's own form, whatever name the client sees. Approved pins are remembered for a while and held
ones for a moment, so that an approval is felt at once and a call costs no look-up.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway.errors import StoreError
from gateway.mcp.tables import Entry
from gateway.stores.protocols import Documents

log = logging.getLogger("gateway")
Mode = Literal["off", "trust-first", "approve"]
Held = Literal["", "new", "changed"]
PINNED = "pin"
PENDING = "pin-pending"
FIELDS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
_APPROVED_TTL = 60.0
_HELD_TTL = 1.0
_REMEMBERED = 10_000


def definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    """What the model and its user are told of a tool."""
    return {field: tool[field] for field in FIELDS if field in tool}


def digest(tool: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(definition(tool), option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """What waits for an approval. `pinned` is None for a tool that was never approved."""

    server: str
    tool: str
    pinned: Mapping[str, Any] | None
    seen: Mapping[str, Any]


class Pins:
    """`trust-first` approves what it sees first; `approve` holds that back too."""

    def __init__(self, store: Documents, *, mode: Mode, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._trusting = mode == "trust-first"
        self._clock = clock
        self._known: dict[tuple[str, str, str], tuple[Held, float]] = {}
        self._digests: dict[int, tuple[Mapping[str, Any], str]] = {}

    async def approved(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that may be shown and called. Where the store does not answer, only what was approved before."""
        verdicts = await asyncio.gather(*(self.held(entry) for entry in entries))
        return [entry for entry, held in zip(entries, verdicts, strict=True) if not held]

    async def held(self, entry: Entry) -> Held:
        """Why it waits for an operator, "" where it does not."""
        key = entry.server, entry.name, self._digest(entry)
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        try:
            held = await self._look_up(entry, key[2])
        except StoreError as error:
            if known is None:
                log.warning(
                    "%s: the pin of %r cannot be read, so it is held: %s", entry.server, entry.name, error
                )
            return known[0] if known is not None else "new"
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = held, self._clock() + (_HELD_TTL if held else _APPROVED_TTL)
        return held

    def _digest(self, entry: Entry) -> str:
        known = self._digests.get(id(entry.tree))
        if known is None or known[0] is not entry.tree:
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            known = self._digests[id(entry.tree)] = entry.tree, digest(entry.tree)
        return known[1]

    async def _look_up(self, entry: Entry, sha: str) -> Held:
        name = key(entry.server, entry.name)
        pinned = await self._store.get(PINNED, name)
        value = {"hash": sha, "definition": definition(entry.tree), "at": self._clock()}
        if pinned is None and self._trusting:
            if await self._store.put(PINNED, name, value, expect=0):
                return ""
            pinned = await self._store.get(PINNED, name)  # another instance was faster
        if pinned is not None and pinned.value["hash"] == sha:
            return ""
        pending = await self._store.get(PENDING, name)
        if pending is None or pending.value["hash"] != sha:
            await self._store.put(PENDING, name, value)
        return "new" if pinned is None else "changed"


def told(entry: Entry, held: Held) -> str:
    """What is held, and what an operator does about it."""
    why = {
        "new": "nobody has approved its definition yet",
        "changed": "its definition has changed since it was approved",
    }
    name = shlex.quote(key(entry.server, entry.name))
    return (
        f"the tool {entry.exposed} is held back, because {why[held]}. An operator sees it with "
        f"`gateway pins diff {name}` and approves it with `gateway pins approve {name}`"
    )


def key(server: str, tool: str) -> str:
    return f"{server}/{tool}"


async def listed(store: Documents, kind: str, prefix: str = "") -> list[tuple[str, str, Mapping[str, Any]]]:
    """All pins of a kind: server, tool, value."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    after = ""
    while page := await store.list(kind, prefix=prefix, after=after):
        for name, item in page:
            server, _, tool = name.partition("/")
            found.append((server, tool, item.value))
        after = page[-1][0]
    return found


async def differences(store: Documents, prefix: str = "") -> list[Difference]:
    """What is held back, beside what was approved."""
    found = []
    for server, tool, value in await listed(store, PENDING, prefix):
        pinned = await store.get(PINNED, key(server, tool))
        if pinned is None or pinned.value["hash"] != value["hash"]:
            approved = pinned.value["definition"] if pinned is not None else None
            found.append(Difference(server, tool, approved, value["definition"]))
    return found


async def approve(store: Documents, chosen: Iterable[Difference], *, at: float) -> None:
    """Exactly what was shown: a definition that changed again in between stays held back."""
    for each in chosen:
        value = {"hash": digest(each.seen), "definition": dict(each.seen), "at": at}
        await store.put(PINNED, key(each.server, each.tool), value)
        await store.delete(PENDING, key(each.server, each.tool))
