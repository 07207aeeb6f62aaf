"""What another policy would have said of past calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.admin import past
from gateway.admin.past import Past
from gateway.mcp.bounds import Bounds
from gateway.mcp.server import Agent, Scope, Server
from gateway.policy.authorization import Authorization, key_limits
from gateway.policy.possible import TRUE, Outcomes, Part
from gateway.policy.rules import Rules, foreign

REPLAYED: Final = ("authz", "scope", "key")  # the policies of lines that are decided again
# These read bodies, counters or states that no line of the audit holds.
NOT_REPLAYED: Final = ("auth", "ratelimit", "guard", "pins", "kill")
Decision = Literal["allowed", "refused", "undecidable"]


@dataclass(frozen=True, slots=True)
class Policies:
    """Of one route: its rules, and how far the servers behind it may be used."""

    authorization: Authorization
    servers: Mapping[str, Server] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replayed:
    """`then` is what really happened, `now` what this policy says. `rule` is the one that decided, or could not."""

    line: Mapping[str, Any]
    then: Decision
    now: Decision
    rule: str = ""
    lost: tuple[str, ...] = ()  # what could not be read

    @property
    def changed(self) -> bool:
        return self.then != self.now


def replay(lines: Iterable[Mapping[str, Any]], routes: Mapping[str, Policies]) -> Iterator[Replayed]:
    """One for each past call of a model or a tool, by its route's policies. What one of NOT_REPLAYED refused is undecidable
    where nothing else refuses it now."""
    for line in lines:
        if line.get("event") != "call":
            continue
        then: Decision = "refused" if line.get("outcome") == "refused" else "allowed"
        policies = routes.get(line.get("route", ""))
        if policies is None:
            yield Replayed(line, then, "refused", "no such route")
            continue
        now, rule, lost = decide(past.of_line(line), policies)
        policy = line.get("policy", "")
        if then == "refused" and now == "allowed" and policy not in REPLAYED:
            now, rule, lost = (
                "undecidable",
                f"{policy}: {line.get('rule', '')}",
                (f"what {policy} would say",),
            )
        yield Replayed(line, then, now, rule, lost)


Decided = tuple[Decision, str, tuple[str, ...]]


def decide(call: Past, policies: Policies) -> Decided:
    authorization = policies.authorization
    limited = key_limits(call.call.principal, call.op)
    if limited is not None:
        return "refused", limited.rule, ()
    needed = set(authorization.needed(call.op)) - call.call.principal.scopes
    if needed:
        return "refused", f"scope: {' '.join(sorted(needed))}", ()
    by_rules: Decided = (
        ("allowed", "", ()) if authorization.rules is None else _by_rules(call, authorization.rules)
    )
    if by_rules[0] == "refused" or not call.op.server or not policies.servers:
        return by_rules
    within = _within(call, policies.servers)
    return by_rules if within[0] == "allowed" else within


def _within(call: Past, servers: Mapping[str, Server]) -> Decided:
    """By what the file allows of a server, to which agent, with which arguments."""
    server = servers.get(call.op.server)
    if server is None:
        return "refused", f"no server {call.op.server}", ()
    agent = server.agents.get(call.call.attribution.agent)
    if agent is not None and agent.verified:
        return "undecidable", "agents", ("whether the agent's name was verified",)
    bounds = Bounds(servers)
    refusal = bounds.name(call.call, call.op)
    if refusal is not None:
        return "refused", refusal.rule, ()
    if not _reach(server, agent):
        return "allowed", "", ()
    if not call.knows(("mcp", "tool", "arguments")):
        return "undecidable", "scope", ("mcp.tool.arguments",)
    refusal = bounds.arguments(call.call, call.op)
    return ("allowed", "", ()) if refusal is None else ("refused", refusal.rule, ())


def _reach(server: Server, agent: Agent | None) -> bool:
    return bool(server.scope or (agent.scope if agent is not None else Scope()))


def _by_rules(call: Past, rules: Rules) -> Decided:
    """Decided only where every way in which the unknown could have stood gives the same answer."""
    doubts: list[Part] = []
    for kind, part in [
        *(("deny", part) for part in rules.deny),
        *(("require", part) for part in rules.require),
    ]:
        found = past.outcomes(part, call)
        if kind == "deny" and not found - {"true", "error"}:
            return "refused", f"deny: {part.expression.text}", ()
        if kind == "require" and "true" not in found:
            return "refused", f"require: {part.expression.text}", ()
        if _doubtful(part, found, call):
            doubts.append(part)
    allowing = [(part, past.outcomes(part, call)) for part in rules.allow]
    if allowing and not any(found == TRUE for _, found in allowing):
        open_ = [part for part, found in allowing if _doubtful(part, found, call) and "true" in found]
        if not open_:
            return "refused", "allow: none of the rules", ()
        doubts += open_
    if not doubts:
        return "allowed", "", ()
    lost = dict.fromkeys(name for part in doubts for name in past.unknown(part.expression, call))
    return "undecidable", doubts[0].expression.text, tuple(lost)


def _doubtful(part: Part, found: Outcomes, call: Past) -> bool:
    """Open because something is not known; not because the rule is about another kind of call."""
    return len(found) > 1 and not foreign(part.expression.reads, call.op)
