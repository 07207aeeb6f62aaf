"""The dialect modules by name, imported when the first request needs one."""

from __future__ import annotations

from typing import Any

from gateway.llm.dialects import MODULES, dialect

NAMES = tuple(MODULES)


def wire(name: str) -> Any:
    """The module of a dialect: a `gateway.llm.dialects.protocol.Dialect`, some of them one half of it."""
    if name not in MODULES:
        raise LookupError(f"no dialect {name}; there are {', '.join(NAMES)}")
    return dialect(name)
