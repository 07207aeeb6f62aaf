"""An OpenAPI document: what its references lead to, and where its API is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]
VERSIONS = ("3.0", "3.1")
_CHAIN = 32  # references that only lead to the next one
VARIABLE = re.compile(r"\{([^{}]*)\}")
_PLAIN_URL = re.compile(r"[!-~]+")


class Wrong(Exception):
    """The document cannot be used as it is."""


class LeftOut(Exception):
    """One operation cannot be offered; the others can."""


class Document:
    """`tree` is the document as it was read. Raises Wrong where it is none of these versions."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        version = str(tree.get("openapi", ""))
        if not f"{version}.".startswith(tuple(f"{each}." for each in VERSIONS)):
            said = f"swagger: {tree['swagger']}" if "swagger" in tree else f"openapi: {version or 'nothing'}"
            raise Wrong(f"says {said}; {' and '.join(VERSIONS)} can be read")
        self.tree = tree
        self.old = f"{version}.".startswith("3.0.")  # whose schemas are not yet JSON Schema

    def at(self, reference: Any) -> Any:
        """What stands at a reference. Raises Wrong: nothing is fetched, and no other file is read."""
        if reference is None:
            raise Wrong("$ref is empty: in YAML, # begins a comment unless it stands in quotes")
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Wrong(f"$ref {reference!r} leads out of the document; only #/… is followed")
        node: Any = self.tree
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, Mapping) and key in node:
                node = node[key]
            else:
                raise Wrong(f"$ref {reference!r} leads to nothing")
        return node

    def object(self, node: Any) -> Mapping[str, Any]:
        """The object itself, or the one that it refers to. Raises Wrong."""
        for _ in range(_CHAIN):
            if not isinstance(node, Mapping):
                raise Wrong("must be an object")
            if "$ref" not in node:
                return node
            reference, node = node["$ref"], self.at(node["$ref"])
        raise Wrong(f"$ref {reference!r} leads back to itself")

    def base(self, url: str) -> str:
        """Where the API is: `url`, or else the document's first server. Raises Wrong."""
        base = (url or self._server()).rstrip("/")
        try:
            parts = urlsplit(base)
            named = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise Wrong("the base URL has no host and port that can be read") from None
        if parts.scheme not in ("http", "https") or not named:
            told = f"its server is {base.rpartition('@')[2]!r}" if base else "it names no server"
            raise Wrong(f"has no base URL ({told}): give the server's url")
        if parts.query or parts.fragment or "@" in parts.netloc or not _PLAIN_URL.fullmatch(base):
            raise Wrong(f"the base URL {parts.hostname} may hold a host and a path, and nothing else")
        return base

    def _server(self) -> str:
        servers = self.tree.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        if not isinstance(first, Mapping):
            raise Wrong("servers: must hold objects")
        variables = first.get("variables")
        variables = variables if isinstance(variables, Mapping) else {}

        def default(found: re.Match[str]) -> str:
            variable = variables.get(found[1])
            if not isinstance(variable, Mapping) or "default" not in variable:
                raise Wrong(f"servers: the variable {found[1]!r} has no default; give the server's url")
            return str(variable["default"])

        return VARIABLE.sub(default, str(first.get("url", "")))
