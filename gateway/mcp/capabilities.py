"""What the servers can do, said as if they were one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.mcp.tables import PROMPTS, RESOURCES, TOOLS
from gateway.mcp.upstream import Hello

_LISTENING = ("listChanged", "subscribe")


def capabilities(hellos: Iterable[Hello], *, streaming: bool, complete: bool) -> dict[str, Any]:
    """What any server can do, all can do together. Where one has not answered yet (`complete` is False), there may be anything:
    who is not told of prompts never asks for them again."""
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


def instructions(hellos: Iterable[Hello]) -> str:
    return "\n\n".join(hello.instructions for hello in hellos if hello.instructions)
