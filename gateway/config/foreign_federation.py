"""A federation file, as examples/seed-4 was one: a list of servers, each with its credential, allow-list and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.foreign_parts import Section, seconds


def federation(mcp: Mapping[str, Any]) -> Section:
    route: dict[str, Any] = {
        "path": "/mcp",
        "mcp": {"servers": {s["name"]: _server(s) for s in mcp["servers"]}},
    }
    guard = dict(mcp.get("scanners") or {})
    limits = [{"requests": count, "per": "60s", "key": key} for name, key in
              (("per_user_per_minute", "principal.id"), ("per_session_per_minute", "session.id"))
              if (count := (mcp.get("rate_limits") or {}).get(name))]  # fmt: skip
    found: dict[str, Any] = ({"guard": guard} if guard else {}) | (
        {"ratelimit": {"limits": limits}} if limits else {}
    )
    if found:
        route["policies"] = found
    if retries := mcp.get("retries"):
        ours = {
            "max": retries.get("max"),
            "backoff": f"{retries.get('backoff_ms', 250)}ms",
            "on": retries.get("on_status"),
        }
        for server in route["mcp"]["servers"].values():
            server["retries"] = {key: value for key, value in ours.items() if value is not None}
    return Section({"routes": [route]})


def _server(server: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if server.get("transport") == "stdio":
        out["command"] = [server["command"], *server.get("args", ())]
    else:
        out["url"] = server.get("url")
    if server.get("tool_prefix"):
        out["prefix"] = server["tool_prefix"]
    if found := _credential(server.get("auth") or {}):
        out["auth"] = found
    if "allowlist" in server:
        out["allow"] = server["allowlist"]
    if "row_limit" in server:
        out["max_rows"] = server["row_limit"]
    if "timeout_ms" in server:
        out["timeout"] = seconds(server["timeout_ms"])
    if agents := server.get("per_agent_scope"):
        out["agents"] = {name: _agent(entry) for name, entry in agents.items()}
    return {key: value for key, value in out.items() if value is not None}


def _credential(auth: Mapping[str, Any]) -> dict[str, Any]:
    if auth.get("type") == "bearer" and "secret_ref" in auth:
        return {"bearer": f"${{{auth['secret_ref']}}}"}
    if auth.get("type") == "oauth2_client_credentials":
        found = {"token_url": auth.get("token_url"), "client_id": f"${{{auth.get('client_id_ref')}}}",
                 "client_secret": f"${{{auth.get('client_secret_ref')}}}", "scopes": auth.get("scopes")}  # fmt: skip
        return {"client_credentials": {key: value for key, value in found.items() if value}}
    return {}


def _agent(entry: Mapping[str, Any]) -> dict[str, Any]:
    scope = {ours: entry[theirs] for theirs, ours in
             (("path_prefix", "path_prefix"), ("deny_paths", "deny_paths"), ("schema_allowlist", "schemas"))
             if theirs in entry}  # fmt: skip
    out: dict[str, Any] = {"allow": entry["allowlist"]} if "allowlist" in entry else {}
    out |= {"scopes": entry["scope_override"]} if "scope_override" in entry else {}
    return out | ({"scope": scope} if scope else {})
