"""What tools and their arguments are called, from the words of a document: names that every model API takes."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from gateway.mcp.names import LONGEST, shorten

_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_OTHER_ARGUMENT = re.compile(r"[^A-Za-z0-9_.-]+")


def unnamed(method: str, path: str) -> str:
    """What an operation is called to which the document gives no name: `get_pets_petId`."""
    return _OTHER.sub("_", method + path).strip("_")


def tool(name: str, *, where: str, taken: Container[str]) -> str:
    """At most 64 characters; with a hash of its place where it was cut or would be another's."""
    plain = _OTHER.sub("_", name).strip("_") or "operation"
    if len(plain) <= LONGEST and plain not in taken:
        return plain
    return shorten(plain, (where, name))


def arguments(parameters: Sequence[tuple[str, str]], *, reserved: Container[str]) -> list[str]:
    """One for each (name, place), in order: the parameter's own name, with its place where that is another's."""
    found: list[str] = []
    for name, place in parameters:
        plain = _OTHER_ARGUMENT.sub("_", name).strip("_")[:LONGEST] or place
        given, count = plain, 1
        while given in found or given in reserved:
            ending = f"_{place}" + (f"_{count}" if count > 1 else "")
            given, count = plain[: LONGEST - len(ending)] + ending, count + 1
        found.append(given)
    return found
