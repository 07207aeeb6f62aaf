"""The policies of other gateways, said in ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.config.foreign_parts import Section, at


def of(found: Any) -> Iterable[Section]:
    for key, value in (found or {}).items() if isinstance(found, Mapping) else ():
        if key in _READERS:
            yield from _READERS[key](value)


def _policy(name: str, value: Any, *notes: str) -> Section:
    return Section({"policies": {name: value}}, list(notes))


def _auth(auth: Mapping[str, Any]) -> Iterable[Section]:
    """`policies.auth: {jwt, rules}`, as in the tutorial of examples/seed-5."""
    if jwt := auth.get("jwt"):
        entry = {
            "issuer": jwt.get("issuer"),
            "audiences": [jwt["audience"]] if "audience" in jwt else jwt.get("audiences"),
        }
        if "key" in jwt:
            entry["jwks"] = {"file": str(jwt["key"]).removeprefix("file:").removeprefix("./")}
        yield _policy("auth", {"jwt": [entry]})
    if rules := auth.get("rules"):
        yield _rules(rules)


def _rules(rules: Iterable[Any]) -> Section:
    """A final `!=` beside other allows permits everything else: what its author meant is a deny."""
    allow, deny, require = [], [], []
    for rule in rules:
        if isinstance(rule, Mapping):
            allow += [rule["allow"]] if "allow" in rule else []
            deny += [rule["deny"]] if "deny" in rule else []
            require += [rule["require"]] if "require" in rule else []
        else:
            allow.append(rule)
    notes = []
    if len(allow) > 1:
        turned = [rule for rule in allow if "!=" in rule and "&&" not in rule and "||" not in rule]
        deny += [rule.replace("!=", "==") for rule in turned]
        allow = [rule for rule in allow if rule not in turned]
        if turned:
            notes.append(
                "allows are OR-ed, so a rule with != would permit everything else: it stands under deny"
            )
    named = {"allow": allow, "deny": deny, "require": require}
    return _policy("authz", {key: value for key, value in named.items() if value}, *notes)


def _jwt(jwt: Mapping[str, Any]) -> Iterable[Section]:
    entry = {key: jwt[key] for key in ("issuer", "audiences", "jwks") if key in jwt}
    auth: dict[str, Any] = ({"mode": jwt["mode"]} if "mode" in jwt else {}) | {"jwt": [entry]}
    notes: list[str] = []
    file: dict[str, Any] = {}
    if about := jwt.get("resourceMetadata"):
        auth["resource"], file, notes = _resource(about)
    yield Section(file | {"policies": {"auth": auth}}, notes)


def _resource(about: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    keys = {
        "scopesSupported": "scopes",
        "resourceDocumentation": "documentation",
        "resourcePolicyUri": "policy",
    }
    resource = {ours: about[theirs] for theirs, ours in keys.items() if theirs in about}
    notes = []
    if {"body", "query"} & set(about.get("bearerMethodsSupported", ())):
        notes.append(
            "the specification forbids tokens in the body and the query string: ours reads headers only"
        )
    origin = urlsplit(str(about.get("resource", "")))
    return resource, {"public_url": f"{origin.scheme}://{origin.netloc}"} if origin.netloc else {}, notes


def _bucket(limit: Mapping[str, Any]) -> Iterable[Section]:
    bucket = limit.get("tokenBucket")
    if bucket:
        ours = {
            "tokens": bucket["refillRate"],
            "per": bucket.get("refillInterval", "1s"),
            "burst": bucket["maxTokens"],
        }
        yield _policy("ratelimit", {"limits": [ours]})
    elif "requestsPerSecond" in limit:
        yield from _per_second(limit)


def _per_second(limit: Mapping[str, Any]) -> Iterable[Section]:
    ours = {"requests": limit["requestsPerSecond"], "per": "1s"} | (
        {"burst": limit["burst"]} if "burst" in limit else {}
    )
    yield _policy("ratelimit", {"limits": [ours]})


def _local(limits: Any) -> Iterable[Section]:
    found = [{"tokens" if each.get("type") == "tokens" else "requests": each["tokensPerFill"],
              "per": each["fillInterval"], "burst": each["maxTokens"]} for each in limits]  # fmt: skip
    yield _policy("ratelimit", {"limits": found})


def _guard(guard: Mapping[str, Any]) -> Iterable[Section]:
    sides = {
        side: [_match(each) for each in at(guard, side, "matches") or ()] for side in ("request", "response")
    }
    note = "this pattern catches almost nothing that is sent in earnest: add {scanner: prompt_injection, action: audit}"
    found = {side: rules for side, rules in sides.items() if rules}
    if found:
        yield _policy("guard", found, *([note] if "request" in found else []))


def _match(match: Mapping[str, Any]) -> dict[str, Any]:
    return {"regex": match["regex"], "action": str(match.get("action", "reject")).lower()}


def _timeout(timeout: Mapping[str, Any]) -> Iterable[Section]:
    keys = {"requestTimeout": "request", "backendRequestTimeout": "upstream"}
    yield Section({"timeout": {ours: timeout[theirs] for theirs, ours in keys.items() if theirs in timeout}})


_READERS: dict[str, Callable[[Any], Iterable[Section]]] = {
    "auth": _auth,
    "jwtAuth": _jwt,
    "mcpAuthentication": _jwt,
    "authorization": lambda value: [_rules(value.get("rules") or ())],
    "mcpAuthorization": lambda value: [_rules(value.get("rules") or ())],
    "rateLimiting": _bucket,
    "rateLimit": _bucket,
    "localRateLimit": _local,
    "promptGuard": _guard,
    "timeout": _timeout,
}
