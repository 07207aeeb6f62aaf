"""Whose limit it is, where the key is a plain name: `principal.id`, `jwt.groups`, `request.headers["x-team"]`.

Anything that has to be worked out is an expression, and comes as a callable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.call import Call, Operation

Key = Callable[["Call", "Operation"], Any]

ABSENT = object()  # the operation has no such subject, and the limit does not count it
NONE = "(none)"  # the subject is there, its value is missing: one bucket for all of those

_NAMES: dict[str, Key] = {
    "principal.id": lambda call, op: call.principal.id,
    "principal.name": lambda call, op: call.principal.name,
    "principal.kind": lambda call, op: call.principal.kind,
    "principal.groups": lambda call, op: call.principal.groups,
    "session.id": lambda call, op: call.attribution.session,
    "user": lambda call, op: call.attribution.user,
    "agent": lambda call, op: call.attribution.agent,
    "project": lambda call, op: call.attribution.project,
    "request.ip": lambda call, op: call.ip,
    "request.route": lambda call, op: call.route,
    "llm.model": lambda call, op: op.model if op.kind == "llm" else ABSENT,
    "mcp.method": lambda call, op: op.method if op.kind == "mcp" else ABSENT,
    "mcp.tool.name": lambda call, op: op.name if op.subject == "tool" else ABSENT,
    "mcp.tool.exposed": lambda call, op: op.exposed if op.subject == "tool" else ABSENT,
    "mcp.tool.target": lambda call, op: op.server if op.subject == "tool" else ABSENT,
    "mcp.tool.server": lambda call, op: op.server if op.subject == "tool" else ABSENT,
}
OF_CALLER = [
    _NAMES[name] for name in ("principal.id", "principal.name", "principal.kind", "principal.groups")
]
# Compiled when a configuration has such a key: a cold start mostly has none.
_HEADER = r"""^request\.headers\[["']([A-Za-z0-9-]+)["']\]$"""
_CLAIM = r"^(?:jwt|key)(?:\.[A-Za-z_][A-Za-z0-9_]*)+$"


def plain(text: str) -> Key | None:
    """The callable of a plain name; None where it is more than that."""
    if text in _NAMES:
        return _NAMES[text]
    if found := re.match(_HEADER, text):
        name = found[1].lower()
        return lambda call, op: call.headers.get(name)
    if re.match(_CLAIM, text):
        root, *path = text.split(".")
        return _claim(path, root)
    return None


def compile_plain(text: str) -> Key:
    key = plain(text)
    if key is None:
        raise ConfigError(
            f"{text!r} is more than a name: pass a callable, or let the middleware compile the expression"
        )
    return key


def _claim(path: list[str], root: str) -> Key:
    def get(call: Call, op: Operation) -> Any:
        value: Any = call.principal.claims if root == "jwt" else call.principal.key
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    return get
