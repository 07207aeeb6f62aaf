"""What of the federation this caller may see: rules, allow-lists, pins and scanners of definitions, in that order.

Lists and calls ask here, so what a list hides cannot be called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson
from msgspec import Raw, structs

from gateway.call import Operation, Verdict
from gateway.errors import Refused
from gateway.mcp import jsonrpc
from gateway.mcp.bounds import Bounds
from gateway.mcp.pins import Pins, told
from gateway.mcp.tables import PROMPTS, RESOURCES, TEMPLATES, TOOLS, Entry, Kind
from gateway.mcp.turn import Turn
from gateway.policies import Inspector
from gateway.refusals import Refusal, forbidden

Subject = Literal["tool", "prompt", "resource"]
SUBJECTS: dict[str, Subject] = {
    TOOLS.method: "tool",
    PROMPTS.method: "prompt",
    RESOURCES.method: "resource",
    TEMPLATES.method: "resource",
}
_REMEMBERED = 10_000


class Sight:
    def __init__(self, bounds: Bounds, pins: Pins | None) -> None:
        self._bounds = bounds
        self._pins = pins
        self._scanned: dict[tuple[int, int], tuple[object, object, bool]] = {}

    async def filter(self, turn: Turn, kind: Kind, entries: Sequence[Entry]) -> list[Entry]:
        """The entries that this caller sees, in their order."""
        shown = [entry for entry in entries if self._refusal(turn, listed(kind, entry)) is None]
        if kind is not TOOLS:
            return shown
        if self._pins is not None:
            shown = await self._pins.approved(shown)
        return await self._scan(turn, shown)

    def judge(self, turn: Turn, op: Operation, kind: Kind) -> Refusal | None:
        """None: go on. A refusal: answer as if it were not there. Raises Refused where the reason may be told."""
        authz = turn.policies.authz
        refusal = authz.decide(turn.call, op) if authz is not None else None
        hidden = (
            self._refusal(turn, structs.replace(op, method=kind.method, arguments=None)) if refusal else None
        )
        if hidden is not None:
            return hidden
        if refusal is not None:
            raise Refused(refusal)
        return self._bounds.name(turn.call, op)

    def examined(self, turn: Turn, entry: Entry) -> bool:
        """Whether there is nothing to ask of this tool's definition, because nobody looks at it or it was seen to be good."""
        if self._pins is not None:
            return False
        guard = turn.policies.guard
        return guard is None or self._verdict(guard, entry) is True

    def _refusal(self, turn: Turn, op: Operation) -> Refusal | None:
        authz = turn.policies.authz
        refusal = authz.decide(turn.call, op) if authz is not None else None
        return refusal or self._bounds.name(turn.call, op)

    async def examine(self, turn: Turn, op: Operation, entry: Entry) -> Refusal | None:
        """What pins and scanners say of a tool's definition, as `judge`."""
        held = await self._pins.held(entry) if self._pins is not None else ""
        if held:
            why = told(entry, held)
            turn.call.verdicts.append(Verdict("pins", "refuse", held, why))
            raise Refused(forbidden(why, policy="pins", rule=held))
        guard = turn.policies.guard
        if guard is None:
            return None
        good = self._verdict(guard, entry)
        if good is None:
            good = bool(await guard.definitions(turn.call, [entry.tree]))
            if len(self._scanned) >= _REMEMBERED:
                self._scanned.clear()
            self._scanned[id(guard), id(entry.tree)] = guard, entry.tree, good
        return None if good else forbidden("its definition was refused", policy="guard")

    def _verdict(self, guard: Inspector, entry: Entry) -> bool | None:
        """What the guard said of this very definition; None where it was not asked yet."""
        known = self._scanned.get((id(guard), id(entry.tree)))
        return known[2] if known is not None and known[0] is guard and known[1] is entry.tree else None

    async def _scan(self, turn: Turn, entries: list[Entry]) -> list[Entry]:
        guard = turn.policies.guard
        if guard is None:
            return entries
        trees = [entry.tree for entry in entries]
        kept = await guard.definitions(turn.call, trees)
        if kept is trees:
            return entries
        by_tree = {id(entry.tree): entry for entry in entries}
        by_name = {entry.name: entry for entry in entries}
        return [by_tree.get(id(tree)) or _masked(by_name[str(tree["name"])], tree) for tree in kept]


def listed(kind: Kind, entry: Entry) -> Operation:
    """What a rule is asked of one entry of a list."""
    return Operation(
        "mcp",
        kind.method,
        charged=False,
        subject=SUBJECTS[kind.method],
        server=entry.server,
        name=entry.name,
        exposed=entry.exposed,
    )


def _masked(entry: Entry, tree: Mapping[str, Any]) -> Entry:
    raw = orjson.dumps({**tree, "name": entry.exposed})
    return replace(entry, raw=jsonrpc.join({**jsonrpc.members(entry.raw), **_members(raw)}), tree=tree)


def _members(raw: bytes) -> Mapping[str, Raw]:
    return jsonrpc.members(raw)
