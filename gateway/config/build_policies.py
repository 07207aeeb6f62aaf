"""From the `policies` of the file to the layers of a route's stack: one short function for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.compose import Layer, Stack
from gateway.config.resources import Resources
from gateway.config.routes import rules_of
from gateway.errors import ConfigError
from gateway.identity.attribution import Attributing
from gateway.mcp.metadata import Resource
from gateway.policies import Policies
from gateway.types import App

if TYPE_CHECKING:
    from gateway.guards.policy import Guard
    from gateway.limits.policy import RateLimiter
    from gateway.metering.meter import UsageMeter

Section = Mapping[str, Any]


class Place(Struct, frozen=True):
    """Where a route stands, as far as its policies must know."""

    path: str
    mcp: bool
    folder: Path
    public_url: str = ""
    trusted_hops: int = 0
    address_header: str = ""


def stack(policies: Section, place: Place, resources: Resources) -> tuple[Stack, Resource | None]:
    """The layers, and the OAuth resource that the route is where tokens protect it."""
    auth, resource = _auth(policies.get("auth") or {}, place, resources)
    challenge = resource.challenge if resource else None
    authz = partial(_authz(rules_of(policies), resources), challenge=challenge)
    limiter, guard = resources.limiter(policies), _guard(policies.get("guard"), place)
    meter = resources.meter(policies.get("usage") or {})
    if place.mcp:
        others = Policies(ratelimit=limiter, guard=guard, usage=meter)
        return Stack(auth=auth, authz=partial(authz, defer=True, others=others)), resource
    return Stack(auth, authz, *_around_models(limiter, guard, meter)), resource


def _around_models(
    limiter: RateLimiter, guard: Guard | None, meter: UsageMeter
) -> tuple[Layer, Layer | None, Layer]:
    from gateway.middleware.ratelimit import RateLimitMiddleware
    from gateway.middleware.usage import UsageMiddleware

    inspect: Layer | None = None
    if guard is not None:
        from gateway.middleware.guard import GuardMiddleware

        inspect = partial(GuardMiddleware, guard=guard)
    usage = partial(UsageMiddleware, meter=meter, watch=False)  # LLMApp says itself what was billed
    return partial(RateLimitMiddleware, limiter=limiter), inspect, usage


def _auth(section: Section, place: Place, resources: Resources) -> tuple[Layer, Resource | None]:
    from gateway.middleware.auth import AuthMiddleware

    _possible(section)
    issuers = section.get("jwt") or ()
    resource = _resource(section, place, issuers)
    layer = partial(
        AuthMiddleware,
        mode=section.get("mode", "strict"),
        jwt=[verifier(each, place.folder, resources) for each in issuers],
        keys=_keys(section.get("keys", not issuers), resources),
        attribution=Attributing(**section.get("attribution", {})),
        resource=resource,
        trusted_hops=place.trusted_hops,
        ip_header=place.address_header,
        query_tokens=section.get("query_tokens", False),
        enforce=section.get("enforce", True),
    )
    return layer, resource


def _possible(section: Section) -> None:
    methods = (section.get("resource") or {}).get("bearer_methods", ())
    if "body" in methods:
        raise ConfigError(
            "auth.resource.bearer_methods: tokens in the body are refused: auth never reads the body"
        )
    if "query" in methods and not section.get("query_tokens"):
        raise ConfigError(
            "auth.resource.bearer_methods: the specification forbids tokens in the query string; "
            "remove query, or set auth.query_tokens: true and accept that they end up in logs"
        )


def _resource(section: Section, place: Place, issuers: Any) -> Resource | None:
    about = section.get("resource")
    if not place.public_url or not (about is not None or (place.mcp and issuers)):
        return None
    about = about or {}
    url = place.public_url.rstrip("/") + ("" if place.path == "/" else place.path)
    servers = tuple(each["issuer"] for each in issuers if each["issuer"].startswith("http"))
    return Resource(
        url,
        servers,
        scopes=tuple(about.get("scopes", ())),
        documentation=about.get("documentation", ""),
        policy=about.get("policy", ""),
        bearer_methods=tuple(about.get("bearer_methods", ("header",))),
    )


def verifier(section: Section, folder: Path, resources: Resources) -> Any:
    from gateway.identity.jwt import Verifier

    given = {key: section[key] for key in ("audiences", "algorithms", "scopes", "leeway") if key in section}
    return Verifier(issuer=section["issuer"], keys=_signing_keys(section, folder, resources), **given)


def _signing_keys(section: Section, folder: Path, resources: Resources) -> Any:
    """What was fetched from an issuer outlives a change of the file."""
    from gateway.identity.issuers import FileKeys, RemoteKeys
    from gateway.identity.jwks import SecretKeys

    jwks = section.get("jwks") or {}
    if "secret" in section:
        return SecretKeys(section["secret"])
    if "file" in jwks:
        return FileKeys(folder / jwks["file"])
    if "url" in jwks:
        return resources.once("keys at", jwks["url"], lambda: RemoteKeys(url=jwks["url"]))
    return resources.once("keys of", section["issuer"], lambda: RemoteKeys(issuer=section["issuer"]))


def _keys(section: bool | list[Section], resources: Resources) -> list[Any]:
    from gateway.identity.keys import ListedKeys, StoredKeys

    if section is True:
        return [StoredKeys(resources.store)]
    if not section:
        return []
    return [ListedKeys([_key(each) for each in section]), StoredKeys(resources.store)]


def _key(section: Section) -> Section:
    """A key of the file as one of the store: budgets among its limits, its end as a moment."""
    words = {name: value for name, value in section.items() if name not in ("limits", "budgets")}
    if "expires" in words:
        words["expires"] = _instant(words["expires"])
    if limits := [*section.get("limits", ()), *section.get("budgets", ())]:
        from gateway.limits.demand import own

        own(limits)  # raises ConfigError
        words["limits"] = limits
    return words


def keys_of(file: Section) -> list[Section]:
    """The keys that stand in the file, wherever that is, as those of the store are kept."""
    from gateway.identity.keys import listed

    places = [(place.get("policies") or {}).get("auth") or {} for place in (file, *file.get("routes", ()))]
    entries = [entry for auth in places if isinstance(auth.get("keys"), list) for entry in auth["keys"]]
    return listed([_key(entry) for entry in entries])


def _instant(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"auth.keys: {text!r} is no date such as 2027-01-31 or 2027-01-31T12:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _authz(rules: Section, resources: Resources) -> Callable[..., App]:
    """Stands always: kill switches and the limits of keys need no rules."""
    from gateway.middleware.authz import AuthzMiddleware

    return partial(AuthzMiddleware, switches=resources.switches, **rules)


def prepare(file: Section) -> None:
    """The scanners that a file names become ready, which takes a third of a second: best done beside a running loop."""
    if names := scanners_in(file):
        from gateway.guards.registry import ready

        for name in sorted(names):
            ready(name)


def scanners_in(section: Any) -> set[str]:
    """Those that any guard in here names."""
    if isinstance(section, list):
        return set().union(*map(scanners_in, section))
    if not isinstance(section, Mapping):
        return set()
    return _named(section.get("guard")).union(*map(scanners_in, section.values()))


def _named(guard: Any) -> set[str]:
    if not isinstance(guard, Mapping):
        return set()
    from gateway.guards.registry import NAMES, canonical
    from gateway.guards.rules import PHASES

    rules = [rule for phase in PHASES for rule in guard.get(phase) or ()]
    told = [rule.get("scanner") if isinstance(rule, Mapping) else rule for rule in rules]
    return {canonical(str(name)) for name in told}.intersection(NAMES)


def _guard(section: Section | None, place: Place) -> Guard | None:
    if not section:
        return None
    from gateway.config.modules import importable
    from gateway.guards.policy import Guard
    from gateway.guards.rules import PHASES, guard_from

    rules = [rule for phase in PHASES for rule in section.get(phase, ())]
    if any("python" in rule for rule in rules if isinstance(rule, Mapping)):
        importable(place.folder)
    return Guard(**guard_from(section))
