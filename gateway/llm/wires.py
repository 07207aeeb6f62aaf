"""The dialect modules by name, imported when the first request needs one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

NAMES = ("anthropic", "openai-chat", "openai-responses", "gemini", "bedrock", "bedrock-converse", "vertex")


@cache
def wire(name: str) -> Any:
    """The module of a dialect: a `gateway.llm.dialects.protocol.Dialect`, some of them one half of it."""
    if name not in NAMES:
        raise LookupError(f"no dialect {name}; there are {', '.join(NAMES)}")
    return import_module("gateway.llm.dialects." + name.replace("-", "_"))
