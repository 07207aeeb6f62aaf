"""Which strings of a tool's arguments are paths, and whether each lies where it may.

A path is compared by its segments after it was brought to one form: escapes undone, backslashes turned, `.` and `..`
resolved. Every reading of it must be allowed. Links inside the server's disk stay the server's own duty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

NAMES = frozenset({"path", "paths", "file", "files", "filename", "filepath", "filenames", "source", "sources", "src",
                   "destination", "dest", "dst", "directory", "directories", "dir", "dirs", "folder", "folders", "root",
                   "cwd", "uri", "uris", "url", "location", "target"})  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DECODINGS = 3


def names_a_path(name: str) -> bool:
    return name.lower() in NAMES or any(word.lower() in NAMES for word in _WORDS.findall(name))


def in_arguments(arguments: Any, only: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """The arguments that are paths, with where they stand: those under the names in `only`, or under names like `path`,
    however deep; and what says `file://` under any name."""
    stack: list[tuple[str, Any, bool]] = [("", arguments, False)]
    while stack:
        where, value, is_path = stack.pop()
        if isinstance(value, str):
            if is_path or value.lstrip().lower().startswith("file:"):
                yield where, value
        elif isinstance(value, Mapping):
            for name, below in value.items():
                inner = is_path or (name in only if only else names_a_path(name))
                stack.append((f"{where}.{name}" if where else str(name), below, inner))
        elif isinstance(value, list):
            stack += [(where, below, is_path) for below in value]


def refuse(path: str, *, prefix: str, denied: Sequence[str]) -> str:
    """Why this path may not be used; "" where it may."""
    if "\0" in path or path.lstrip().startswith("~"):
        return "it cannot be resolved"
    for reading in readings(path):
        segments = resolve(reading, prefix)
        if segments is None:
            return "it leads above the root"
        if prefix and not _below(segments, resolve(prefix, "/") or []):
            return f"it lies outside of {prefix}"
        for deny in denied:
            if _below(
                [part.casefold() for part in segments],
                [part.casefold() for part in resolve(deny, prefix) or []],
            ):
                return f"{deny} is denied"
    return ""


def readings(path: str) -> list[str]:
    """Everything that some server may take it for: as it stands, and with its escapes undone."""
    found = [_without_scheme(path.strip())]  # other schemes are names of directories to a server of files
    for _ in range(_DECODINGS):
        decoded = unquote(found[-1], errors="replace")
        if decoded == found[-1]:
            break
        found.append(decoded)
    return found


def _without_scheme(text: str) -> str:
    if not text.lower().startswith("file:"):
        return text
    rest = text[5:]
    if rest.startswith("//"):
        host, slash, tail = rest[2:].partition("/")
        return slash + tail if slash else "/" + host
    return rest


def resolve(path: str, base: str) -> list[str] | None:
    """Its segments from the root; None where `..` leads above it."""
    text = path.replace("\\", "/")
    if _DRIVE.match(path):
        text = "/" + text[2:]
    if not text.startswith("/"):
        text = f"{base}/{text}"
    segments: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not segments:
                return None
            segments.pop()
        elif part not in {"", "."}:
            segments.append(part)
    return segments


def _below(segments: Sequence[str], parent: Sequence[str]) -> bool:
    return list(segments[: len(parent)]) == list(parent)
