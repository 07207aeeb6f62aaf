"""How a federation introduces itself: what its servers can do and say of themselves, as if they were one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from gateway.mcp import eras
from gateway.mcp.catalog import Catalog
from gateway.mcp.tables import PROMPTS, RESOURCES, TOOLS
from gateway.mcp.together import Together
from gateway.mcp.turn import Turn, judge
from gateway.mcp.upstream import Answer, Hello

_LISTENING = ("listChanged", "subscribe")


class Greeting:
    """The answers to `initialize` and `server/discover`."""

    def __init__(
        self, catalog: Catalog, together: Together, *, name: str, version: str, streaming: bool
    ) -> None:
        self._servers = catalog.servers
        self._together = together
        self._info = {"name": name, "version": version}
        self._streaming = streaming

    async def initialize(self, turn: Turn) -> Answer:
        judge(turn)
        hellos = await self._hellos(turn)
        result = {
            "protocolVersion": turn.peer.version,
            "capabilities": self._capabilities(hellos),
            "serverInfo": self._info,
        }
        return Answer(orjson.dumps(result | _instructions(hellos)))

    async def discover(self, turn: Turn) -> Answer:
        judge(turn)
        hellos = await self._hellos(turn)
        result = {
            "resultType": "complete",
            "supportedVersions": [eras.MODERN],
            "capabilities": self._capabilities(hellos),
            "_meta": {eras.SERVER_INFO: self._info},
            "ttlMs": 0,
            "cacheScope": "private",
        }
        return Answer(orjson.dumps(result | _instructions(hellos)))

    async def _hellos(self, turn: Turn) -> list[Hello]:
        """Of those that did not fail a moment ago: a session that begins waits for the same one once."""
        awake = self._together.awake(turn.call)
        found = await self._together.each(
            awake, lambda server: server.upstream.hello(turn.call, turn.peer), turn.call
        )
        return [found[name] for name in self._servers if name in found]

    def _capabilities(self, hellos: Sequence[Hello]) -> dict[str, Any]:
        complete = len(hellos) == len(self._servers)
        return _capabilities(hellos, streaming=self._streaming, complete=complete)


def _capabilities(hellos: Iterable[Hello], *, streaming: bool, complete: bool) -> dict[str, Any]:
    """What any server can do, all can do together.

    Where one has not answered yet (`complete` is False), there may be anything: who is not told of prompts never asks for
    them again.
    """
    merged: dict[str, Any] = {}
    for hello in hellos:
        _merge(merged, hello.capabilities)
    if not streaming:
        for capability in merged.values():
            if isinstance(capability, dict):
                for key in _LISTENING:
                    capability.pop(key, None)
    for kind in (TOOLS,) if complete else (TOOLS, PROMPTS, RESOURCES):
        merged.setdefault(kind.capability, {})
    return merged


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            below = into.setdefault(key, {})
            if isinstance(below, dict):
                _merge(below, value)
        else:
            into[key] = into.get(key) or value


def _instructions(hellos: Iterable[Hello]) -> dict[str, Any]:
    said = "\n\n".join(hello.instructions for hello in hellos if hello.instructions)
    return {"instructions": said} if said else {}
