"""What `gateway check` says of a file that is valid: what can never matter, what is risky, and what its own tests say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.config.load import Loaded
from gateway.config.routes import policies_of, rules_of
from gateway.errors import ConfigError

Section = Mapping[str, Any]
Kind = Literal["allow", "deny", "require"]
RULES: tuple[Kind, ...] = ("allow", "deny", "require")


@dataclass(frozen=True, slots=True)
class Tried:
    """One of the file's own tests."""

    name: str
    passed: bool
    why: str = ""


def advice(loaded: Loaded) -> list[str]:
    """Warnings, each with the line that it is about."""
    found = [*_rules(loaded), *_doors(loaded), *_patterns(loaded), *_seals(loaded)]
    return [f"{loaded.source}:{loaded.lines.get(where, 1)}: {text}" for where, text in dict.fromkeys(found)]


def _home(route: Section, number: int, policy: str) -> str:
    return (
        f"routes[{number}].policies.{policy}"
        if policy in (route.get("policies") or {})
        else f"policies.{policy}"
    )


def _rules(loaded: Loaded) -> Iterator[tuple[str, str]]:
    from gateway.policy import lint

    for number, route in enumerate(loaded.data["routes"]):
        section = rules_of(policies_of(loaded.data, route))
        rules = {kind: section.get(kind, ()) for kind in RULES}
        if any(rules.values()):
            for text in lint.warnings(**rules, serves=_serves(loaded.data, route)):
                yield _home(route, number, "authz"), text


def _serves(file: Section, route: Section) -> Literal["llm", "mcp"] | None:
    """What passes where these rules stand: both, where they stand above routes of both kinds."""
    kinds = {"mcp" if "mcp" in each else "llm" for each in file["routes"]}
    if len(kinds) > 1 and "authz" not in (route.get("policies") or {}):
        return None
    return "mcp" if "mcp" in route else "llm"


def _doors(loaded: Loaded) -> Iterator[tuple[str, str]]:
    for number, route in enumerate(loaded.data["routes"]):
        auth = policies_of(loaded.data, route).get("auth") or {}
        home = _home(route, number, "auth")
        if auth.get("mode") in ("optional", "permissive"):
            yield home, f"mode: {auth['mode']} serves callers without a credential on {route['path']}"
        if auth.get("query_tokens"):
            yield (
                home,
                "query_tokens: tokens in the query string end up in logs; the specification forbids them",
            )
        for name, provider in (route.get("llm") or {}).get("providers", {}).items():
            if provider.get("api_key") == "passthrough":
                yield f"routes[{number}].llm", f"provider {name} is shown the callers' own credentials"


def _seals(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """A store that instances share is how a file says that there are several."""
    if not str(loaded.data.get("store", "")).startswith("dynamodb:"):
        return
    for number, route in enumerate(loaded.data["routes"]):
        if "mcp" in route and not route["mcp"].get("seal_key"):
            yield (
                f"routes[{number}].mcp",
                "without a seal_key each instance seals sessions and cursors by a key of its own, and answers those of "
                'the others 404; give all of them the same one: seal_key: "${SEAL_KEY}", 32 bytes or more',
            )


def _patterns(loaded: Loaded) -> Iterator[tuple[str, str]]:
    for number, route in enumerate(loaded.data["routes"]):
        rules = (policies_of(loaded.data, route).get("guard") or {}).get("request", ())
        if "prompt_injection" in map(_scanner, rules):
            continue
        for rule in rules:
            if isinstance(rule, Mapping) and "instructions" in str(rule.get("regex", "")):
                yield (
                    _home(route, number, "guard"),
                    f"the pattern {rule['regex']!r} caught none of 711 published attacks: "
                    "add {scanner: prompt_injection, action: audit}, and reject when you have seen a week of it",
                )


def _scanner(rule: str | Section) -> str:
    return rule if isinstance(rule, str) else rule.get("scanner", "")


def tried(loaded: Loaded) -> list[Tried]:
    return [_tried(loaded, test, number) for number, test in enumerate(loaded.data.get("tests", ()))]


def _tried(loaded: Loaded, test: Section, number: int) -> Tried:
    from gateway.policy.authorization import Authorization
    from gateway.policy.trial import decided

    name = test.get("name") or f"tests[{number}]"
    try:
        route = _route_for(loaded.data, test)
        policy = Authorization(**rules_of(policies_of(loaded.data, route)))
        refusal = decided(policy, caller=test.get("as"), call=test["call"])
    except ConfigError as error:
        return Tried(name, False, str(error))
    got = "allow" if refusal is None else "refuse"
    why = (
        ""
        if got == test["expect"]
        else f"expected {test['expect']}, got {got}" + (f" ({refusal.rule})" if refusal else "")
    )
    return Tried(name, not why, why)


def _route_for(file: Section, test: Section) -> Section:
    """The route that a test names, else the first of the kind that it asks."""
    routes = file["routes"]
    if "route" in test:
        found = [r for r in routes if r["path"] in (test["route"], {"exact": test["route"]})]
        if not found:
            raise ConfigError(f"no route {test['route']}")
        return found[0]  # type: ignore[no-any-return]
    wanted = "llm" if "model" in test["call"] else "mcp"
    return next((route for route in routes if wanted in route), routes[0])
