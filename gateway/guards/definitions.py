"""A tool's definition as a model reads it: in one piece, whatever strings it was cut into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.guards.strings import Path

WHOLE: Path = ("*",)  # where a definition's text stands that no single string holds


def described(tool: Mapping[str, Any]) -> str:
    """What the tool says of itself, then each parameter."""
    lines = [str(tool[key]) for key in ("title", "description") if isinstance(tool.get(key), str)]
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(each, Mapping) and isinstance(each.get("description"), str):
            lines.append(f"{name}: {each['description']}")
    return "\n".join(lines)
