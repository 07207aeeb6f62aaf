"""What servers listed, as one table: each entry under the name that clients see, with its own bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from msgspec import Raw

from gateway.mcp import eras, jsonrpc, names


@dataclass(frozen=True, slots=True)
class Kind:
    method: str
    member: str  # of the result
    key: str  # of an entry: what it is called by
    capability: str


TOOLS = Kind("tools/list", "tools", "name", "tools")
PROMPTS = Kind("prompts/list", "prompts", "name", "prompts")
RESOURCES = Kind("resources/list", "resources", "uri", "resources")
TEMPLATES = Kind("resources/templates/list", "resourceTemplates", "uriTemplate", "resources")
KINDS = {kind.method: kind for kind in (TOOLS, PROMPTS, RESOURCES, TEMPLATES)}


@dataclass(frozen=True, slots=True)
class Entry:
    server: str
    name: str  # the upstream's own
    exposed: str
    raw: bytes  # as the client sees it
    tree: Mapping[str, Any]  # as the upstream wrote it
    # Of a tool: which arguments are mirrored into which.
    headers: eras.HeaderParameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """All pages of one server's list."""

    digest: bytes
    raws: tuple[bytes, ...]
    trees: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One list over all servers, before any policy."""

    entries: tuple[Entry, ...]
    by_name: Mapping[str, Entry]


def merge(
    kind: Kind, listings: Sequence[tuple[str, Listing]], *, mode: names.Mode, prefixes: Mapping[str, str]
) -> Table:
    """One table of all lists, in their order."""
    found: dict[names.Own, Entry] = {}
    for server, listing in listings:
        for raw, tree in zip(listing.raws, listing.trees, strict=True):
            name = tree.get(kind.key)
            if isinstance(name, str) and (server, name) not in found:
                entry = _entry(kind, server, name, raw, tree)
                if entry is not None:
                    found[server, name] = entry
    exposed = _expose(kind, list(found), mode, prefixes)
    entries = tuple(_renamed(found[own], kind.key, name) for name, own in exposed.items())
    return Table(entries, {entry.exposed: entry for entry in entries})


def _entry(kind: Kind, server: str, name: str, raw: bytes, tree: Mapping[str, Any]) -> Entry | None:
    """None for a tool whose header annotations are wrong: it must not be shown."""
    try:
        headers = eras.header_parameters(tree.get("inputSchema")) if kind is TOOLS else {}
    except ValueError:
        return None
    return Entry(server, name, name, raw, tree, headers)


def _expose(
    kind: Kind, listed: Sequence[names.Own], mode: names.Mode, prefixes: Mapping[str, str]
) -> dict[str, names.Own]:
    if kind.key == "name":
        return names.expose(listed, mode=mode, prefixes=prefixes)
    exposed: dict[str, names.Own] = {}
    for own in listed:
        taken = own[1] in exposed or mode == "always"
        exposed[names.prefix_uri(*own) if taken else own[1]] = own
    return exposed


def _renamed(entry: Entry, key: str, exposed: str) -> Entry:
    if exposed == entry.name:
        return entry
    raw = jsonrpc.join({**jsonrpc.members(entry.raw), key: Raw(orjson.dumps(exposed))})
    return replace(entry, exposed=exposed, raw=raw)
