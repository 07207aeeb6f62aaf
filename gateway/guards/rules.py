"""The rules of a guard as they stand in YAML, read into finished objects. Everything that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from gateway.errors import ConfigError
from gateway.guards import registry
from gateway.guards.patterns import Patterns
from gateway.guards.plugins import Plugin, load_callable, webhook

Action = Literal["reject", "mask", "audit"]
Phase = Literal["request", "response", "discovery", "invocation", "result"]
PHASES: tuple[Phase, ...] = ("request", "response", "discovery", "invocation", "result")
PLACES = ("system", "messages", "tool_results", "tools", "answer")
HIDDEN = "hidden_characters"  # not a scanner of its own, but its action in definitions may be chosen

# Where a scanner looks in a request unless the rule says so with `in`: the operator's own system prompt and tool definitions
# talk to the model by right, and would be taken for injections.
_DEFAULT_PLACES: dict[str, frozenset[str]] = {
    "prompt_injection": frozenset({"messages", "tool_results", "answer"}),
    "tool_descriptions": frozenset({"tools", "answer"}),
}
# A bare name in these lists is the operator's word that it shall not pass; in prompts and answers it is watched first.
_BARE: dict[Phase, Action] = {"request": "audit", "response": "audit", "discovery": "reject",
                              "invocation": "reject", "result": "reject"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One of: a pattern of the operator's, a scanner, or a plug-in; and what to do where it fires."""

    name: str
    action: Action = "audit"
    regex: str = ""
    scanner: str = ""
    plugin: Plugin | None = None
    threshold: float | None = None  # None: the scanner's own
    places: frozenset[str] | None = None  # None: everywhere
    read_only: bool = True  # of sql_injection: a query argument may only read
    status: int = 403
    message: str = ""  # shown to the caller instead of our own words

    def covers(self, place: str) -> bool:
        return self.places is None or place in self.places


def rules_from(items: Sequence[Mapping[str, Any] | str], *, phase: Phase = "request") -> tuple[Rule, ...]:
    """`rules_from([{"scanner": "secrets", "action": "mask"}, "pii"])`"""
    rules, problems = [], []
    for index, item in enumerate(items):
        try:
            rules.append(_rule(item, phase))
        except ConfigError as error:
            problems += [f"{phase}[{index}]: {line}" for line in str(error).split("\n")]
    if problems:
        raise ConfigError("\n".join(problems))
    return tuple(rules)


def guard_from(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section `guard` of a configuration as GuardMiddleware's keywords."""
    problems, built = [], {key: section[key] for key in ("budget", "on_overrun", "enforce") if key in section}
    if "key" in section:
        built["key"] = blake2b(section["key"].encode()).digest()
    for phase in PHASES:
        try:
            built[phase] = rules_from(section.get(phase) or (), phase=phase)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return built


_KINDS = ("regex", "scanner", "python", "webhook", "moderation", "bedrock_guardrail")
_KEYS = frozenset({*_KINDS, "name", "action", "threshold", "in", "read_only", "status", "message", "timeout", "on_failure",
                   "headers", "api_key", "base_url", "version", "region"})  # fmt: skip


def _rule(item: Mapping[str, Any] | str, phase: Phase) -> Rule:
    if isinstance(item, str):
        return _scanner({"scanner": item}, phase, _BARE[phase])
    problems = [
        f"{key}: unknown key; known are {', '.join(sorted(_KEYS))}" for key in item if key not in _KEYS
    ]
    kinds = [kind for kind in _KINDS if item.get(kind)]
    if len(kinds) != 1:
        problems.append(
            f"says {' and '.join(kinds) or 'nothing'} to look for; a rule has exactly one of {', '.join(_KINDS)}"
        )
    action = str(item.get("action", "audit")).lower()  # agentgateway writes REJECT
    if action not in ("reject", "mask", "audit"):
        problems.append(f"action: {action!r} is none of reject, mask, audit")
    places = _places(item, problems)
    if places is not None and phase not in ("request", "response"):
        problems.append(f"in: has no meaning in {phase}")
    if problems:
        raise ConfigError("\n".join(problems))
    return _BUILD[kinds[0]](item, phase, action, places)  # type: ignore[arg-type]


def _places(item: Mapping[str, Any], problems: list[str]) -> frozenset[str] | None:
    if "in" not in item:
        return None
    given = [item["in"]] if isinstance(item["in"], str) else list(item["in"])
    problems += [f"in: {place!r} is none of {', '.join(PLACES)}" for place in given if place not in PLACES]
    return frozenset(given)


def _scanner(
    item: Mapping[str, Any], phase: Phase, action: Action, places: frozenset[str] | None = None
) -> Rule:
    name = registry.canonical(str(item["scanner"]))
    if name not in registry.NAMES and name != HIDDEN:
        raise ConfigError(f"scanner: {name!r} is none of {', '.join(registry.NAMES)}")
    default = _DEFAULT_PLACES.get(name) if phase in ("request", "response") else None
    threshold = item.get("threshold")
    if threshold is not None and not 0 < float(threshold) <= 1:
        raise ConfigError(f"threshold: {threshold} is not between 0 and 1")
    return Rule(str(item.get("name") or name), action, scanner=name, places=places or default,
                threshold=None if threshold is None else float(threshold), read_only=bool(item.get("read_only", True)),
                **_said(item))  # fmt: skip


def _regex(item: Mapping[str, Any], phase: Phase, action: Action, places: frozenset[str] | None) -> Rule:
    name, pattern = str(item.get("name") or item["regex"]), str(item["regex"])
    Patterns({"regex": pattern})
    return Rule(name, action, regex=pattern, places=places, **_said(item))


def _plugin(item: Mapping[str, Any], phase: Phase, action: Action, places: frozenset[str] | None) -> Rule:
    kind = next(kind for kind in _KINDS if item.get(kind))
    plugin = _PLUGINS[kind](item, float(item.get("timeout", 1.0)), item.get("on_failure", "reject") != "pass")
    return Rule(str(item.get("name") or item[kind]), action if "action" in item else "reject", plugin=plugin,
                places=places, **_said(item))  # fmt: skip


def _callable(item: Mapping[str, Any], timeout: float, closed: bool) -> Plugin:
    return load_callable(str(item["python"]), timeout=timeout, closed=closed)


def _webhook(item: Mapping[str, Any], timeout: float, closed: bool) -> Plugin:
    headers = dict(item.get("headers") or {})
    return webhook(str(item["webhook"]), timeout=timeout, closed=closed, headers=headers)


def _moderation(item: Mapping[str, Any], timeout: float, closed: bool) -> Plugin:
    from gateway.guards.services import OPENAI, Moderation

    if not item.get("api_key"):
        raise ConfigError("moderation: needs an api_key")
    return Moderation(str(item["moderation"]), str(item["api_key"]), base_url=str(item.get("base_url", OPENAI)),
                      threshold=item.get("threshold"), timeout=timeout, closed=closed)  # fmt: skip


def _guardrail(item: Mapping[str, Any], timeout: float, closed: bool) -> Plugin:
    from gateway.guards.services import Guardrail
    from gateway.llm.signing import AwsSigner

    if not item.get("region"):
        raise ConfigError("bedrock_guardrail: needs a region")
    region = str(item["region"])
    return Guardrail(str(item["bedrock_guardrail"]), region, AwsSigner(region=region),
                     version=str(item.get("version", "DRAFT")), timeout=timeout, closed=closed)  # fmt: skip


def _said(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": int(item.get("status", 403)), "message": str(item.get("message", ""))}


_PLUGINS = {
    "python": _callable,
    "webhook": _webhook,
    "moderation": _moderation,
    "bedrock_guardrail": _guardrail,
}
_BUILD = {"scanner": _scanner, "regex": _regex, **dict.fromkeys(_PLUGINS, _plugin)}
