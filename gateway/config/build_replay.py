"""The policies of a file as a replay needs them: the rules and bounds of each route, with nobody behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from gateway.admin.replay import Policies
from gateway.config.build_mcp import bounded
from gateway.config.load import Loaded
from gateway.config.routes import path_of, policies_of, rules_of
from gateway.mcp.upstream import Upstream
from gateway.policy.authorization import Authorization

Section = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Nobody:
    """A server that is only a name."""

    name: str


def replayed(loaded: Loaded) -> Mapping[str, Policies]:
    """By the route's path; `enforce: false` counts as enforced, for that is the question."""
    file = loaded.data
    found = {}
    for route in file["routes"]:
        rules = rules_of(policies_of(file, route))
        servers = {
            name: bounded(cast(Upstream, _Nobody(name)), {**each, "enforce": True})
            for name, each in ((route.get("mcp") or {}).get("servers") or {}).items()
        }
        found[path_of(route)] = Policies(Authorization(**{**rules, "enforce": True}), servers)
    return found
