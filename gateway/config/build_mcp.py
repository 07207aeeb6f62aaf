"""From an `mcp` route of the file to its MCPApp."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config.resources import Resources
from gateway.config.together import together
from gateway.errors import ConfigError
from gateway.mcp.app import MCPApp
from gateway.mcp.server import Agent, Retries, Scope, Server
from gateway.mcp.upstream import Upstream

Section = Mapping[str, Any]
log = logging.getLogger("gateway")


def mcp(
    section: Section,
    path: str,
    file: Section,
    folder: Path,
    resources: Resources,
    *,
    attempt: float | None = None,
) -> MCPApp:
    """`attempt` bounds every server that says nothing of its own."""
    bounds = {} if attempt is None else {"timeout": attempt}
    listen = file.get("listen") or {}
    public = urlsplit(file.get("public_url", "")).netloc
    key = section.get("seal_key")
    if not key and resources.serverless:
        log.warning(
            "route %s has no seal_key: no other instance knows the sessions that this one begins", path
        )
    given = {
        ours: section[key]
        for ours, key in (
            ("prefix", "prefix"),
            ("list_timeout", "deadline"),
            ("pins", "pins"),
            ("disclosure", "disclosure"),
            ("session_ttl", "session_ttl"),
        )
        if key in section
    }
    servers = section["servers"].items()
    return MCPApp(
        together(partial(_server, name, {**bounds, **each}, folder, resources) for name, each in servers),
        seal_key=hashlib.sha256(key.encode()).digest() if key else None,
        route=path,
        store=resources.store,
        streaming=resources.place != "lambda",
        origins=listen.get("origins", ()),
        hosts=[*listen.get("hosts", ()), *([public] if public else ())],
        **given,
    )


def _server(name: str, section: Section, folder: Path, resources: Resources) -> Server:
    return bounded(upstream_from(name, section, folder, resources), section)


def bounded(upstream: Upstream, section: Section) -> Server:
    """The server with all that the file says of it but where it is."""
    given = {key: section[key] for key in ("prefix", "max_rows", "max_bytes", "enforce") if key in section}
    return Server(
        upstream,
        allow=_names(section.get("allow")),
        agents={agent: _agent(each) for agent, each in (section.get("agents") or {}).items()},
        scope=_scope(section.get("scope")),
        retries=_retries(section.get("retries") or {}),
        **given,
    )


def upstream_from(name: str, section: Section, folder: Path, resources: Resources) -> Upstream:
    timeout: dict[str, Any] = {"timeout": section["timeout"]} if "timeout" in section else {}
    if "openapi" in section:
        return _openapi(name, section, resources, timeout)
    if "command" in section:
        return _stdio(name, section, folder, timeout)
    if section.get("transport") == "sse":
        from gateway.mcp.sse_upstream import SseUpstream

        return SseUpstream(
            name, section["url"], client=resources.client, auth=_credential(section), **timeout
        )
    from gateway.mcp.http import HttpUpstream

    own = {"token_exchange", "passthrough"} & set(section.get("auth") or ())
    narrowed = any("scopes" in each for each in (section.get("agents") or {}).values())
    return HttpUpstream(
        name,
        section["url"],
        client=resources.client,
        auth=_credential(section),
        per_caller=bool(own) or narrowed,
        forward=section.get("headers", ()),
        **timeout,
    )


def _openapi(name: str, section: Section, resources: Resources, timeout: dict[str, Any]) -> Upstream:
    from gateway.mcp.openapi.upstream import OpenApiUpstream

    retries = _retries(section.get("retries") or {})
    try:
        upstream = OpenApiUpstream(
            name,
            section["openapi"],
            client=resources.client,
            url=section.get("url", ""),
            operations=section.get("operations", ()),
            forward=section.get("headers", ()),
            auth=_credential(section),
            supplied=(section.get("auth") or {}).get("headers", ()),
            repeated=retries.on if retries.max else (),
            **timeout,
        )
    except ConfigError as error:
        told = [f"mcp.servers.{name}.openapi: {each}" for each in str(error).splitlines()]
        raise ConfigError("\n".join(told)) from None
    for each in upstream.left_out:
        log.warning("server %s: an operation is left out: %s", name, each)
    return upstream


def _stdio(name: str, section: Section, folder: Path, timeout: dict[str, Any]) -> Upstream:
    from gateway.mcp.stdio import StdioUpstream

    cwd = str(folder / section["cwd"]) if "cwd" in section else None
    return StdioUpstream(name, section["command"], env=section.get("env"), cwd=cwd, **timeout)


def _credential(section: Section) -> Any:
    auth = section.get("auth")
    if not auth:
        return None
    from gateway.identity.upstream import credential_from

    agents = {
        name: tuple(each["scopes"])
        for name, each in (section.get("agents") or {}).items()
        if "scopes" in each
    }
    return credential_from(auth, agent_scopes=agents)


def _agent(section: Section) -> Agent:
    given = {key: section[key] for key in ("verified", "enforce") if key in section}
    return Agent(allow=_names(section.get("allow")), scope=_scope(section.get("scope")), **given)


def _scope(section: Section | None) -> Scope:
    section = section or {}
    lists = {
        key: tuple(section[key]) for key in ("deny_paths", "path_arguments", "schemas") if key in section
    }
    return Scope(path_prefix=section.get("path_prefix", ""), **lists)


def _retries(section: Section) -> Retries:
    plain: dict[str, Any] = {key: section[key] for key in ("max", "backoff") if key in section}
    sets: dict[str, Any] = {key: frozenset(section[key]) for key in ("on", "tools") if key in section}
    return Retries(**plain, **sets)


def _names(section: list[str] | None) -> frozenset[str] | None:
    return None if section is None else frozenset(section)
