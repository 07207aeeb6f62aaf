"""From the `admin` of the file to the page, its API, and what they keep of the calls that pass."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.compose import Route
from gateway.config.build_telemetry import Telemetry
from gateway.config.load import Loaded
from gateway.config.resources import Resources
from gateway.config.routes import policies_of
from gateway.errors import ConfigError
from gateway.middleware.access import Observer

if TYPE_CHECKING:
    from gateway.admin.app import AdminApp
    from gateway.telemetry.toolcosts import ToolCosts

Section = Mapping[str, Any]


class Admin(Struct, frozen=True):
    """`app` for the page's own port, `route` for a path of the main one."""

    app: AdminApp | None
    route: Route | None
    observers: list[Observer]
    costs: ToolCosts
    open: bool  # it has a credential, and may be reached from elsewhere


def admin(loaded: Loaded, seen: Telemetry, resources: Resources) -> Admin | None:
    """None where nobody asks for a page: its port is switched off, and no path with a credential is given."""
    file = loaded.data
    section: Section = file.get("admin") or {}
    on_port = not resources.serverless and bool((file.get("listen") or {}).get("admin", True))
    path = section.get("path", "")
    if path and "token" not in section:
        raise ConfigError(f"{loaded.source}: admin.path needs admin.token: it can be reached from everywhere")
    if resources.dry or not (on_port or path):
        return None
    from gateway.telemetry.masking import Masking
    from gateway.telemetry.recent import Recent
    from gateway.telemetry.toolcosts import ToolCosts

    content = section.get("content", False)
    recent = resources.once("recent", content, lambda: Recent(content=content))
    usage = (file.get("policies") or {}).get("usage") or {}
    words = [file.get("store", ""), usage]
    costs = resources.once("toolcosts", words, lambda: ToolCosts(resources.prices(usage)))
    masking = Masking(((file.get("telemetry") or {}).get("audit") or {}).get("mask", ()))

    def page(prefix: str) -> AdminApp:
        from gateway.admin.app import AdminApp

        return AdminApp(
            resources.store,
            recent=recent,
            token=section.get("token", ""),
            prefix=prefix,
            masking=masking,
            audit=seen.audit,
            costs=costs,
            standings=lambda: _standings(file, resources),
            configuration=lambda: _as_written(loaded),
            live=not resources.serverless,
        )

    route = Route(path, page(path)) if path else None
    return Admin(page("") if on_port else None, route, [recent, costs], costs, open="token" in section)


async def _standings(file: Section, resources: Resources) -> Sequence[Mapping[str, Any]]:
    """Of every limit that the file names, of keys' own and of those that an administrator has set."""
    from gateway.config.build_policies import keys_of
    from gateway.identity import keys
    from gateway.limits.standing import standings

    limiters = [resources.limiter(policies_of(file, route)) for route in file["routes"]]
    rules = {(rule.group, rule.name): rule for limiter in limiters for rule in limiter.rules}
    known = [*keys_of(file), *await keys.made(resources.store)]
    return await standings(resources.store, rules.values(), now=time.time(), keys=known)


def _as_written(loaded: Loaded) -> Section:
    """The tree that is in force, with references as references, so that no secret is shown."""
    import yaml

    found = yaml.safe_load(loaded.text)
    return found if isinstance(found, Mapping) else {}
