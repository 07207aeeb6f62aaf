"""What plug-ins say, as hits like any other's."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.guards.findings import Finding
from gateway.guards.inspection import Hit
from gateway.guards.plugins import Said
from gateway.guards.rules import Rule
from gateway.guards.strings import Piece

_PLUGIN = "plugin"


async def hits(rules: Sequence[Rule], pieces: Sequence[Piece], phase: str) -> list[Hit]:
    """One question to each plug-in, about all texts that its rule covers."""
    found: list[Hit] = []
    for rule in rules:
        mine = [piece for piece in pieces if rule.covers(piece.place)]
        if mine and rule.plugin is not None:
            found += _heard(rule, mine, await rule.plugin.judge([piece.text for piece in mine], phase=phase))
    return found


def rewritten(hit: Hit) -> bool:
    """A plug-in's mask is the whole new text."""
    return hit.finding.scanner == _PLUGIN and hit.rule.action == "mask"


def _heard(rule: Rule, pieces: list[Piece], said: Said) -> list[Hit]:
    if said.action == "reject":
        told = Rule(rule.name, "audit" if rule.action == "audit" else "reject", plugin=rule.plugin, status=said.status,
                    message=said.body or rule.message)  # fmt: skip
        return [Hit(told, pieces[0], Finding(_PLUGIN, said.reason or "refused", 0, 0, 1.0, said.reason))]
    if said.action == "mask":
        told = Rule(rule.name, "mask", plugin=rule.plugin)
        return [
            Hit(told, piece, Finding(_PLUGIN, "rewritten", 0, len(piece.text), 1.0, text))
            for piece, text in zip(pieces, said.texts, strict=True)
            if text != piece.text
        ]
    return []
