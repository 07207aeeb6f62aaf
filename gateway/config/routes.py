"""What a route of the file is: where it stands, and what holds for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Section = Mapping[str, Any]


def path_of(route: Section) -> str:
    path: Any = route["path"]
    found: str = path if isinstance(path, str) else path["exact"]
    return found


def policies_of(file: Section, route: Section) -> dict[str, Any]:
    """Its own over the file's, by name."""
    return {**(file.get("policies") or {}), **(route.get("policies") or {})}


def rules_of(policies: Section) -> dict[str, Any]:
    """A list of rules is short for what they allow."""
    section = policies.get("authz") or {}
    return {"allow": section} if isinstance(section, list) else dict(section)
