"""What the readers of other gateways' files share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Section:
    """A piece of our file, and what to know about it."""

    file: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def at(value: Any, *path: str) -> Any:
    """What stands at a path, None where it ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def merge(old: Any, new: Any) -> Any:
    """Mappings by key, lists one after the other, anything else by the newer."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merge(old[key], value) if key in old else value for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return old + [each for each in new if each not in old]
    return new


def variable(*words: str) -> str:
    return "${" + "_".join(words).upper().replace("-", "_") + "}"


def seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
