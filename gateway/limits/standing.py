"""Who is near a limit: the buckets in use, read with the rules that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.limits import bucket, demand, rules, spend
from gateway.limits.bucket import MICRO, Take
from gateway.limits.demand import Rule

if TYPE_CHECKING:
    from gateway.stores.protocols import Store

PAGE = 1000
MOST = 20_000  # entities looked at


Document = Mapping[str, Any]


async def standings(
    store: Store, known: Iterable[Rule], *, now: float, keys: Iterable[Document] = (), prefix: str = ""
) -> list[dict[str, Any]]:
    """`{limit, who, used, of, unit, resets}` for each bucket in use, the fullest first. `resets` is None where it refills.

    `keys` are the virtual keys that may carry limits of their own; spend limits are read from the store.
    """
    spends = [item.value for _, item in await store.list(spend.KIND, limit=spend.MOST)]
    owners = _Owners([*known, *spend.shared(spends)], {**_of_keys(keys), **spend.of_users(spends)})
    found: list[dict[str, Any]] = []
    seen, after = 0, ""
    while seen < MOST and (page := await store.buckets(prefix=prefix, after=after, limit=PAGE)):
        for entity, state in page:
            rules_of, who = owners.of(entity)
            found += [
                _row(rules_of[name], who, value, now) for name, value in state.items() if name in rules_of
            ]
        seen, after = seen + len(page), page[-1][0]
    return sorted(found, key=lambda row: -row["used"] / row["of"])


def _of_keys(keys: Iterable[Document]) -> dict[str, Sequence[Rule]]:
    return {f"principal.id=key:{key['id']}": demand.own(key["limits"]) for key in keys if key.get("limits")}


class _Owners:
    """Whose an entity is, and the rules that its buckets belong to: those of its key, and those of it alone."""

    def __init__(self, known: Iterable[Rule], alone: Mapping[str, Iterable[Rule]]) -> None:
        self._by_group: dict[str, dict[str, Rule]] = {}
        for rule in known:
            self._by_group.setdefault(rule.group, {})[rule.name] = rule
        self._alone = {entity: {rule.name: rule for rule in found} for entity, found in alone.items()}

    def of(self, entity: str) -> tuple[Mapping[str, Rule], str]:
        group, who = self._split(entity)
        return {**self._by_group.get(group, {}), **self._alone.get(entity, {})}, who

    def _split(self, entity: str) -> tuple[str, str]:
        """A key may be an expression with equality signs of its own."""
        at = first = entity.find("=")
        while at >= 0:
            if entity[:at] in self._by_group:
                return entity[:at], entity[at + 1 :]
            at = entity.find("=", at + 1)
        return (entity[:first], entity[first + 1 :]) if entity in self._alone else (entity, "")


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
