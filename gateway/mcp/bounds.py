"""What the configuration allows of a server: which names may be seen, by which agent, and how far arguments reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.call import Call, Operation, Verdict
from gateway.mcp import paths, sql
from gateway.mcp.server import Agent, Scope, Server
from gateway.refusals import Refusal, forbidden


class Bounds:
    """One decision about a name, one about arguments. `enforce: false` on server or agent only notes what it would say."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        # Most servers say nothing of the one or the other.
        self._named = {name for name, each in servers.items() if each.allow is not None or each.agents}
        self._scoped = {name for name, each in servers.items() if each.scope or each.agents}
        for server in servers.values():
            if server.scope.schemas or any(agent.scope.schemas for agent in server.agents.values()):
                sql.require()

    def name(self, call: Call, op: Operation) -> Refusal | None:
        """Not for this caller at all: answered like what is not there."""
        if op.server not in self._named:
            return None
        server = self._servers[op.server]
        if op.subject == "tool" and not _listed(server.allow, op):
            return _say(call, server.enforce, "allow", f"{op.name} is not in the allow-list of {server.name}")
        if not server.agents:
            return None
        agent = self._agent(server, call)
        if agent is None:
            return _say(call, server.enforce, "agents", f"{server.name} is not for this agent")
        if op.subject == "tool" and not _listed(agent.allow, op):
            why = f"{op.name} is not in this agent's allow-list"
            return _say(call, server.enforce and agent.enforce, "agents.allow", why)
        return None

    def arguments(self, call: Call, op: Operation) -> Refusal | None:
        """Seen, but not with these arguments: the reason is told."""
        if op.server not in self._scoped:
            return None
        server = self._servers[op.server]
        refusal = _scope(call, op, server.scope, enforce=server.enforce)
        agent = self._agent(server, call) if server.agents else None
        if refusal is None and agent is not None:
            refusal = _scope(call, op, agent.scope, enforce=server.enforce and agent.enforce)
        return refusal

    def _agent(self, server: Server, call: Call) -> Agent | None:
        agent = server.agents.get(call.attribution.agent)
        if agent is not None and agent.verified and "agent" in call.attribution.unverified:
            return None
        return agent


def _listed(allow: frozenset[str] | None, op: Operation) -> bool:
    return allow is None or op.name in allow or op.exposed in allow


def _scope(call: Call, op: Operation, scope: Scope, *, enforce: bool) -> Refusal | None:
    if not scope:
        return None
    given = {"uri": op.name} if op.subject == "resource" else op.arguments
    if scope.path_prefix or scope.deny_paths:
        for where, path in paths.in_arguments(given, scope.path_arguments):
            why = paths.refuse(path, prefix=scope.path_prefix, denied=scope.deny_paths)
            if why:
                return _say(
                    call,
                    enforce,
                    "scope.path",
                    f"the path in {where!r} may not be used: {why}; use another path",
                )
    if scope.schemas:
        why = sql.refuse(given, scope.schemas)
        if why:
            return _say(call, enforce, "scope.schemas", f"{why}; ask only what lies in these schemas")
    return None


def _say(call: Call, enforce: bool, rule: str, why: str) -> Refusal | None:
    call.verdicts.append(Verdict("scope", "refuse" if enforce else "would_refuse", rule, why))
    return forbidden(why, policy="scope", rule=rule) if enforce else None


def without_paths(tools: Sequence[Mapping[str, Any]], scope: Scope) -> list[str]:
    """The tools in whose arguments nothing looks like a path, although the scope has a rule for paths."""
    if not (scope.path_prefix or scope.deny_paths):
        return []
    return [str(tool.get("name")) for tool in tools if not _has_path(tool.get("inputSchema"), scope)]


def _has_path(schema: Any, scope: Scope) -> bool:
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            properties = node.get("properties")
            for name in properties if isinstance(properties, Mapping) else ():
                if name in scope.path_arguments if scope.path_arguments else paths.names_a_path(name):
                    return True
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return False
