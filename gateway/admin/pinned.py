"""Pinned tool definitions for the page: what is approved, what waits, and how the two differ."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from gateway.mcp import pins
from gateway.stores.protocols import Documents


class StoredPins:
    """`StoredPins(store)`: what the federation wrote there."""

    def __init__(self, store: Documents, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def pins(self) -> Sequence[Mapping[str, Any]]:
        waiting = await pins.differences(self._store)
        held = {(each.server, each.tool) for each in waiting}
        approved = [
            _row(server, tool, "approved", value["definition"])
            for server, tool, value in await pins.listed(self._store, pins.PINNED)
            if (server, tool) not in held
        ]
        return [_waiting(each) for each in waiting] + approved

    async def approve(self, server: str, tool: str, digest: str) -> bool:
        """Exactly the definition that was shown, which its digest says."""
        waiting = await pins.differences(self._store, pins.key(server, tool))
        chosen = [
            d for d in waiting if (d.server, d.tool) == (server, tool) and pins.digest(d.seen) == digest
        ]
        await pins.approve(self._store, chosen, at=self._clock())
        return bool(chosen)


def _waiting(each: pins.Difference) -> Mapping[str, Any]:
    status = "new" if each.pinned is None else "changed"
    return {**_row(each.server, each.tool, status, each.seen), "diff": _diff(each) if each.pinned else ""}


def _row(server: str, tool: str, status: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "server": server, "tool": tool, "status": status, "digest": pins.digest(definition),
        "description": _text(definition), "diff": "",
    }  # fmt: skip


def _diff(each: pins.Difference) -> str:
    lines = difflib.unified_diff(_text(each.pinned or {}).splitlines(), _text(each.seen).splitlines(), lineterm="", n=2)  # fmt: skip
    return "\n".join(list(lines)[2:])


def _text(definition: Mapping[str, Any]) -> str:
    """As a person reads it; signs that a person would not see are escaped by YAML itself."""
    return yaml.safe_dump(dict(definition), sort_keys=True, allow_unicode=False, width=100)
