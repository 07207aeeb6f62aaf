"""Who is near a limit: the buckets in use, read with the rules that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.limits import bucket, rules
from gateway.limits.bucket import MICRO, Take
from gateway.limits.demand import Rule

if TYPE_CHECKING:
    from gateway.stores.protocols import Buckets

PAGE = 1000
MOST = 20_000  # entities looked at


async def standings(
    store: Buckets, known: Iterable[Rule], *, now: float, prefix: str = ""
) -> list[dict[str, Any]]:
    """`{limit, who, used, of, unit, resets}` for each bucket in use, the fullest first. `resets` is None where it refills."""
    by_group: dict[str, dict[str, Rule]] = {}
    for rule in known:
        by_group.setdefault(rule.group, {})[rule.name] = rule
    found: list[dict[str, Any]] = []
    seen, after = 0, ""
    while seen < MOST and (page := await store.buckets(prefix=prefix, after=after, limit=PAGE)):
        for entity, state in page:
            rules_of, who = _owner(by_group, entity)
            found += [
                _row(rules_of[name], who, value, now) for name, value in state.items() if name in rules_of
            ]
        seen, after = seen + len(page), page[-1][0]
    return sorted(found, key=lambda row: -row["used"] / row["of"])


def _owner(by_group: Mapping[str, dict[str, Rule]], entity: str) -> tuple[dict[str, Rule], str]:
    """The rules of an entity's key, and whose it is. A key may be an expression with equality signs of its own."""
    at = entity.find("=")
    while at >= 0:
        if entity[:at] in by_group:
            return by_group[entity[:at]], entity[at + 1 :]
        at = entity.find("=", at + 1)
    return by_group.get(entity, {}), ""


def _row(rule: Rule, who: str, value: Any, now: float) -> dict[str, Any]:
    since, resets = rules.period(rule.per, now) if rule.per is not None else (0.0, None)
    slot = "*" if rule.unit == "concurrency" else ""
    take = Take(rule.name, rule.rate, rule.burst, 1, since=since, slot=slot)
    left = bucket.left(take, value, int(now * MICRO))
    return {
        "limit": rule.name,
        "who": who,
        "used": rule.burst - left,
        "of": rule.burst,
        "unit": rule.unit,
        "resets": resets,
    }
