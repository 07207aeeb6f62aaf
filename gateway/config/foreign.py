"""Configurations of other gateways, and how ours says the same.

`gateway check` reads agentgateway's shapes (its standalone file, its Kubernetes resources) and the shapes that tutorials
invented for it, and prints the section of our file that means what the author meant. A note tells what has no equivalent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config import foreign_policies as policies
from gateway.config.foreign_federation import federation
from gateway.config.foreign_parts import Section, at, merge, variable


class _Plain(yaml.SafeDumper):
    """Says everything where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(slots=True)
class Translation:
    """Our file's equivalent, and what to know about it."""

    file: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def yaml(self) -> str:
        text = yaml.dump(self.file, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
        return "".join(f"# {note}\n" for note in self.notes) + text


def translate(text: str) -> Translation | None:
    """None where the text is no other gateway's configuration that we know."""
    try:
        documents = [d for d in yaml.safe_load_all(text) if isinstance(d, Mapping)]
        found = [section for document in documents for section in _sections(document)]
    except (yaml.YAMLError, RecursionError, *_OTHER_SHAPES):
        return None
    if not found:
        return None
    out = Translation()
    for section in found:
        out.file = merge(out.file, section.file)
        out.notes += [note for note in section.notes if note not in out.notes]
    return out


# What reading raises where a key that we know holds something else than theirs does.
_OTHER_SHAPES = (AttributeError, KeyError, TypeError, ValueError)


def _sections(document: Mapping[str, Any]) -> Iterable[Section]:
    if "routes" in document:  # ours, with its own problems
        return
    if "apiVersion" in document:
        yield from _resource(document)
        return
    if isinstance(at(document, "mcp", "servers"), list):
        yield federation(document["mcp"])
    for key, read in _STANDALONE.items():
        if key in document:
            yield from read(document[key])


def _resource(document: Mapping[str, Any]) -> Iterable[Section]:
    """A Kubernetes resource of agentgateway's: a backend, a policy, a route or a gateway."""
    kind, spec = document.get("kind"), document.get("spec") or {}
    name = at(document, "metadata", "name") or "server"
    if kind == "MCPBackend" or (kind == "AgentgatewayBackend" and "mcp" in spec):
        mcp = spec.get("mcp") or {}
        targets = mcp.get("targets") or [{"name": name, **mcp}]
        yield Section(_mcp_route("/mcp", targets))
    elif kind == "AgentgatewayBackend":
        provider = at(spec, "llm", "provider") or at(spec, "ai", "provider") or {}
        yield Section(_llm_route(f"/{next(iter(provider), 'llm')}", provider))
    elif kind == "AgentgatewayPolicy":
        yield from policies.of(spec.get("default") or spec.get("traffic") or spec)
    elif kind == "HTTPRoute":
        paths = [
            at(match, "path", "value") for rule in spec.get("rules", ()) for match in rule.get("matches", ())
        ]
        told = ", ".join(p for p in paths if p)
        yield Section({}, [f"HTTPRoute {name}: a route's `path` says where it stands ({told})"])
    elif kind == "Gateway":
        ports = [each["port"] for each in spec.get("listeners", ()) if "port" in each]
        yield Section({"listen": {"port": ports[0] if len(ports) == 1 else ports}})


def _binds(binds: Any) -> Iterable[Section]:
    for bind in binds or ():
        port = bind.get("port")
        routes = [r for listener in bind.get("listeners") or () for r in listener.get("routes") or ()]
        for route in routes:
            yield from _route(route, port)


def _route(route: Mapping[str, Any], port: Any) -> Iterable[Section]:
    found = list(policies.of(route.get("policies") or {}))
    inner: dict[str, Any] = {}
    for section in found:
        inner = merge(inner, section.file.get("policies", {}))
    timeouts = next((s.file["timeout"] for s in found if "timeout" in s.file), None)
    path = _path(route)
    for backend in route.get("backends") or [{}]:
        file = _backend(backend, path)
        entry = file["routes"][0] | ({"port": port} if port else {})
        entry |= ({"timeout": timeouts} if timeouts else {}) | ({"policies": inner} if inner else {})
        public = next((s.file["public_url"] for s in found if "public_url" in s.file), None)
        yield Section(
            ({"public_url": public} if public else {}) | {"routes": [entry]},
            [n for s in found for n in s.notes],
        )


def _path(route: Mapping[str, Any]) -> Any:
    for match in route.get("matches") or ():
        path = match.get("path") or {}
        if "exact" in path:
            return {"exact": path["exact"]}
        if "pathPrefix" in path:
            return path["pathPrefix"]
    return None


def _backend(backend: Mapping[str, Any], path: Any) -> dict[str, Any]:
    if "mcp" in backend:
        return _mcp_route(path or "/mcp", at(backend, "mcp", "targets") or [])
    if "ai" in backend:
        return _llm_route(path or "/", at(backend, "ai", "provider") or {})
    return {"routes": [{"path": path or "/mcp"}]}


def _mcp_route(path: Any, targets: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"routes": [{"path": path, "mcp": {"servers": {t["name"]: _target(t) for t in targets}}}]}


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    if stdio := target.get("stdio"):
        return {"command": [stdio["cmd"], *stdio.get("args", ())]} | (
            {"env": stdio["env"]} if "env" in stdio else {}
        )
    if api := target.get("openapi"):
        return {"openapi": str(at(api, "schema", "file")).removeprefix("./"), "url": _address(api, "")}
    place = target.get("static") or target.get("mcp") or target.get("sse") or {}
    return {"url": _address(place, "/mcp")} | ({"transport": "sse"} if "sse" in target else {})


def _address(place: Mapping[str, Any], path: str) -> str:
    host = str(place.get("host", ""))
    if host.startswith("http"):
        return host
    port = place.get("port", 80)
    return f"{'https' if port == 443 else 'http'}://{host}:{port}{place.get('path', path)}"


def _llm_route(path: str, provider: Mapping[str, Any]) -> dict[str, Any]:
    name = next(iter(provider), "anthropic")
    return {"routes": [{"path": path, "llm": {"providers": {name: {"api_key": variable(name, "API_KEY")}},
                                              "models": [{"match": "*", "to": name}]}}]}  # fmt: skip


def _llm(llm: Mapping[str, Any]) -> Iterable[Section]:
    yield from policies.of(llm.get("policies") or {})
    yield from _models(llm.get("models") or ())


def _models(models: Any) -> Iterable[Section]:
    providers: dict[str, Any] = {}
    rows = []
    for model in models or ():
        provider, params = model.get("provider", "anthropic"), model.get("params") or {}
        keys = {"vertexProject": "project", "awsRegion": "region", "baseUrl": "base_url", "apiKey": "api_key"}
        providers[provider] = {ours: params[theirs] for theirs, ours in keys.items() if theirs in params}
        row = {
            "match": model.get("name", "*"),
            "to": provider + (f"/{params['model']}" if "model" in params else ""),
        }
        headers = [h for m in model.get("matches") or () for h in m.get("headers") or ()]
        if headers:
            row["when"] = " && ".join(
                f'request.headers["{h["name"].lower()}"] == "{h["value"]["exact"]}"' for h in headers
            )
        if expression := at(model, "transformation", "model"):
            row["model"] = " ".join(str(expression).split())
        rows.append(row)
    if rows:
        yield Section({"routes": [{"path": "/", "llm": {"providers": providers, "models": rows}}]})


def _config(config: Mapping[str, Any]) -> Iterable[Section]:
    if "port" in config:
        yield Section({"listen": {"port": config["port"]}})
    labels = at(config, "metrics", "fields", "add")
    if labels:
        yield Section({"policies": {"usage": {"labels": dict(labels)}}})
    if endpoint := at(config, "tracing", "otlpEndpoint"):
        yield Section({"telemetry": {"traces": {"exporter": "otlp", "endpoint": endpoint}}})


def _frontend(frontend: Mapping[str, Any]) -> Iterable[Section]:
    if labels := at(frontend, "accessLog", "add"):
        yield Section(
            {"policies": {"usage": {"labels": dict(labels)}}},
            ["labels go to the access log and the metrics alike"],
        )


def _helm(gateway: Any) -> Iterable[Section]:
    env = at(gateway, "envs") or {}
    if endpoint := env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        traces = {"exporter": "otlp", "endpoint": str(endpoint).replace(":4317", ":4318")}
        yield Section({"telemetry": {"traces": traces}}, ["OTLP goes over HTTP: port 4318 of the collector"])


def _clients(servers: Any) -> Iterable[Section]:
    """A client's `mcp.json`: its header names become the attribution."""
    headers = [h for server in servers.values() for h in (server.get("headers") or {})]
    found = {
        word: f"header:{h.lower()}"
        for h in headers
        for word in ("user", "agent", "project")
        if h.lower().endswith(word)
    }
    if found:
        attribution = {word: [source] for word, source in found.items()}
        note = "the client's file names our address: type http, url …/mcp, Authorization: Bearer ${MCP_TOKEN}"
        yield Section({"policies": {"auth": {"attribution": attribution}}}, [note])


_STANDALONE: dict[str, Callable[[Any], Iterable[Section]]] = {
    "config": _config,
    "binds": _binds,
    "llm": _llm,
    "models": _models,
    "policies": policies.of,
    "frontendPolicies": _frontend,
    "gateway": _helm,
    "mcpServers": _clients,
}
