"""`gateway status`: what a configuration serves, by which policies, and what is switched off, on one screen."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.config.load import load
from gateway.config.routes import path_of, policies_of
from gateway.policy import switches
from gateway.stores import open_store

Section = Mapping[str, Any]


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "status",
        help="routes, providers, models, servers, policies and kill switches on one screen",
        description="Show what a configuration serves and what is switched off in its store. Secrets are not shown.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", default=Path("gateway.yaml"))
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    file = load(args.config, secrets=False).data
    url = file.get("store", "memory:")
    off = asyncio.run(_off(url))
    routes = [_route(route, policies_of(file, route)) for route in file["routes"]]
    found = {"configuration": str(args.config), "store": url.split("?")[0], "routes": routes, "off": off}
    print(orjson.dumps(found).decode() if args.json else "\n".join(_told(found)))
    return 0


async def _off(url: str) -> Sequence[Section] | None:
    """None: the store is the serving process' own memory, which nobody else can read."""
    if url.startswith("memory:"):
        return None
    store = open_store(url)
    try:
        return [switch.document() for switch in await switches.thrown(store)]
    finally:
        await store.close()


def _route(route: Section, policies: Section) -> dict[str, Any]:
    found: dict[str, Any] = {"path": path_of(route), "kind": "llm" if "llm" in route else "mcp"}
    if "llm" in route:
        found["providers"] = list(route["llm"].get("providers") or {})
        found["models"] = [_model(rule) for rule in route["llm"].get("models") or ()]
    else:
        servers = (route.get("mcp") or {}).get("servers") or {}
        found["servers"] = {name: _server(server) for name, server in servers.items()}
    return {**found, "policies": {name: _policy(policies[name]) for name in policies}}


def _model(rule: Section) -> str:
    to = rule.get("to", "")
    names = to if isinstance(to, list) else [to]
    return f"{rule.get('match', '*')} → {', then '.join(map(_target, names))}"


def _target(to: Any) -> str:
    return to if isinstance(to, str) else str(to.get("provider", to))


def _server(server: Section) -> str:
    if "command" in server:
        return str(server["command"][0])  # arguments can hold secrets
    return str(server.get("url", "")).split("?")[0].rpartition("@")[2]


def _policy(section: Any) -> str:
    """How much of it there is, and whether it only observes."""
    if isinstance(section, list):
        return f"{len(section)} rules"
    parts = [f"{len(value)} {key}" for key, value in section.items() if isinstance(value, list)]
    parts += [str(section["mode"])] if "mode" in section else []
    parts += ["observes only"] if section.get("enforce") is False else []
    return ", ".join(parts) or "on"


def _told(found: Section) -> Iterator[str]:
    yield f"{found['configuration']}   store {found['store']}"
    for route in found["routes"]:
        yield f"\n{route['path']}  ({'models' if route['kind'] == 'llm' else 'tools'})"
        if route["kind"] == "llm":
            yield f"  providers  {', '.join(route['providers'])}"
            yield from (f"  model      {model}" for model in route["models"])
        else:
            yield from (f"  server     {name}: {where}" for name, where in route["servers"].items())
        yield from (f"  {name:<10} {what}" for name, what in route["policies"].items())
    yield ""
    if found["off"] is None:
        yield "kill switches: in the memory of the serving process"
        return
    yield "switched off:" if found["off"] else "nothing is switched off"
    yield from (f"  {one['kind']} {one['name']}  {one['reason']}".rstrip() for one in found["off"])
