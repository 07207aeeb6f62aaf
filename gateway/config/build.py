"""From what was read to what runs: one short function for each section. The file adds nothing to the constructors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from gateway.app import Running
from gateway.body import DEFAULT, Bound
from gateway.compose import Document, Route, compose
from gateway.config.build_admin import admin
from gateway.config.build_policies import Place, stack
from gateway.config.build_telemetry import telemetry
from gateway.config.flush import Flush, keep_saving
from gateway.config.late import Late, closed
from gateway.config.load import Loaded
from gateway.config.places import unfit_for_lambda
from gateway.config.ready import Ready
from gateway.config.resources import Resources
from gateway.config.routes import path_of, policies_of
from gateway.errors import ConfigError
from gateway.mcp.metadata import WELL_KNOWN, Resource
from gateway.metering.meter import RouteMeters
from gateway.types import App

if TYPE_CHECKING:
    from gateway.telemetry.toolcosts import ToolCosts

Section = Mapping[str, Any]
LAMBDA_REQUEST = 6 * 1024 * 1024  # bytes of an invocation's event


def build(loaded: Loaded, resources: Resources) -> Running:
    """Raises ConfigError that names the file and the route."""
    file, folder = loaded.data, loaded.folder
    resources.use(file)
    if resources.serverless and (wrong := unfit_for_lambda(loaded)):
        raise ConfigError("\n".join(wrong))
    seen = telemetry(file, folder, resources)
    routes: list[Route] = []
    protected, apps = [], []
    problems: list[str] = []
    for number, section in enumerate(file["routes"]):
        try:
            route, resource, app = _route(section, file, folder, resources)
            if any(_same(route, each) for each in routes):
                raise ConfigError("an earlier route stands there")
        except ConfigError as error:
            line = loaded.lines.get(f"routes[{number}].path", 1)
            told = str(error).splitlines()
            problems += [f"{loaded.source}:{line}: route {path_of(section)}: {each}" for each in told]
            continue
        routes.append(route)
        apps.append(app)
        protected += [resource] if resource else []
    if problems:
        raise ConfigError("\n".join(problems))
    page = admin(loaded, seen, resources)
    if page is not None and page.route is not None:
        routes.append(page.route)
    meters = RouteMeters(
        {
            path_of(each): resources.meter(policies_of(file, each).get("usage") or {})
            for each in file["routes"]
        }
    )
    observers = [meters, *seen.observers, *(page.observers if page is not None else [])]
    costs = page.costs if page is not None else None
    flush = Flush(meters, seen.queues, costs=costs, store=resources.store) if resources.serverless else None
    app = compose(
        routes,
        observers=observers,
        tracer=seen.tracer,
        bound=_bound(file, resources),
        phases=seen.tracer is not None or page is not None,
        fixed=_fixed(protected),
        ready=Ready(lambda: resources.store),
        flush=flush,
    )
    kept = Kept(apps, costs, resources)
    return Running(
        app,
        loaded.files,
        metrics=seen.metrics,
        admin=page.app if page is not None else None,
        admin_open=page is not None and page.open,
        open=kept.open,
        end_streams=kept.end_streams,
        close=kept.close,
    )


def _bound(file: Section, resources: Resources) -> Bound:
    own = (file.get("listen") or {}).get("max_body", DEFAULT.bytes)
    if resources.serverless and own > LAMBDA_REQUEST:
        return Bound(LAMBDA_REQUEST, "AWS Lambda")
    return Bound(own)


def _route(
    section: Section, file: Section, folder: Path, resources: Resources
) -> tuple[Route, Resource | None, App]:
    path, port = path_of(section), section.get("port")
    listen = file.get("listen") or {}
    if ("llm" in section) == ("mcp" in section):
        raise ConfigError("needs either llm or mcp")
    app = _bounded(_made(section, path, file, folder, resources), section)
    place = Place(
        path,
        mcp="mcp" in section,
        folder=folder,
        public_url=file.get("public_url", ""),
        trusted_hops=listen.get("trusted_hops", 0),
        address_header=listen.get("address_header", ""),
    )
    layers, resource = stack(policies_of(file, section), place, resources)
    exact = isinstance(section["path"], Mapping)
    ports = frozenset([port]) if port else frozenset()
    return Route(path, layers.around(app), exact=exact, ports=ports, mcp=place.mcp), resource, app


def _same(route: Route, other: Route) -> bool:
    paths = [each.path.rstrip("/") for each in (route, other)]
    return paths[0] == paths[1] and (route.exact, route.ports) == (other.exact, other.ports)


def _bounded(app: App, section: Section) -> App:
    seconds = (section.get("timeout") or {}).get("request")
    if seconds is None:
        return app
    from gateway.middleware.deadline import DeadlineMiddleware

    return DeadlineMiddleware(app, seconds=seconds)


def _made(section: Section, path: str, file: Section, folder: Path, resources: Resources) -> App:
    if not resources.serverless:
        return _handler(section, path, file, folder, resources)
    return Late(lambda: _handler(section, path, file, folder, resources))


def _handler(section: Section, path: str, file: Section, folder: Path, resources: Resources) -> App:
    attempt = (section.get("timeout") or {}).get("upstream")
    if "mcp" in section:
        from gateway.config.build_mcp import mcp

        return mcp(section["mcp"], path, file, folder, resources, attempt=attempt)
    from gateway.config.build_llm import llm

    return llm(section["llm"], resources, attempt=attempt)


def _fixed(protected: list[Resource]) -> dict[str, App]:
    known: dict[str, App] = {resource.metadata_path: Document(resource.document()) for resource in protected}
    if len(protected) == 1:
        known[WELL_KNOWN] = Document(protected[0].document())
    return known


@runtime_checkable
class Lasting(Protocol):
    """An app that keeps connections of its own (to MCP servers), and streams without an end (to their clients)."""

    async def warm(self) -> None: ...

    def end_streams(self) -> None: ...


class Kept:
    """What runs beside the requests of one configuration, and ends with it."""

    def __init__(self, apps: Sequence[object], costs: ToolCosts | None, resources: Resources) -> None:
        self.apps = apps
        self.costs = costs
        self.resources = resources
        self._saving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self.costs is not None:
            self._saving = asyncio.create_task(keep_saving(self.costs, self.resources.store))
        await asyncio.gather(*(app.warm() for app in self._lasting()))

    def end_streams(self) -> None:
        for app in self._lasting():
            app.end_streams()

    def _lasting(self) -> Iterator[Lasting]:
        for app in self.apps:
            if isinstance(app, Lasting):
                yield app

    async def close(self) -> None:
        for app in self.apps:
            await closed(app)
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
