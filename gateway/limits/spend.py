"""Spend limits that an administrator sets while the gateway runs: for a user, a group's members, or everybody.

They live in the store, in the shapes of the vendor's spend-limits API, and are enforced like budgets of the file. For each
period the nearest one counts: the user's own, else the tightest of the user's groups, else the organisation's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.errors import StoreError
from gateway.limits.demand import Rule
from gateway.limits.rules import Period
from gateway.tasks import under_way

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.stores.protocols import Documents

log = logging.getLogger("gateway.limits")
KIND = "spend_limit"
GROUP = "user"  # the entity that carries a user's spend
PERIODS: dict[str, Period] = {"daily": "day", "weekly": "week", "monthly": "month"}
WARN = (75.0, 95.0)
TTL = 5.0  # seconds after which a limit set elsewhere is known here
MOST = 10_000
CALLERS = 4096  # whose rules are remembered
SMALLEST = 1e-6  # dollars: what a limit of nothing leaves, so that shares of it can be told
Document = Mapping[str, Any]


class Effective(NamedTuple):
    """What counts for one user in one period. `usd` is None for an explicit absence of a limit."""

    period: str
    usd: float | None
    limit: Document


class SpendLimits:
    """The limits in the store, looked at again every TTL seconds."""

    def __init__(
        self, store: Documents, *, ttl: float = TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._until = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self.known: dict[tuple[str, str, str], Document] = {}  # by their scope
        self._rules: dict[tuple[str, tuple[str, ...]], list[tuple[Rule, str]]] = {}  # by caller

    def stale(self) -> bool:
        return self._clock() >= self._until

    async def fresh(self) -> None:
        """Whoever comes before any were read waits for them. Those known stay in force while the store does not answer."""
        if not self.stale():
            return
        first = self._until == float("-inf")
        if not under_way(self._loading):
            self._loading = asyncio.create_task(self._load())
        if first:
            await asyncio.shield(self._loading)
        else:
            self._until = self._clock() + self._ttl

    async def _load(self) -> None:
        try:
            found = await self._store.list(KIND, limit=MOST)
        except StoreError as error:
            log.warning("the spend limits cannot be read: %s", error)
        else:
            known = {_place(item.value): item.value for _, item in found}
            if known != self.known:
                self.known = known
                self._rules.clear()
        self._until = self._clock() + self._ttl

    def of(self, user: str, groups: Sequence[str]) -> list[Effective]:
        found = (self._nearest(user, groups, period) for period in PERIODS)
        return [effective for effective in found if effective is not None]

    def _nearest(self, user: str, groups: Sequence[str], period: str) -> Effective | None:
        own = self.known.get(("user", user, period))
        shared = [
            self.known[place] for group in groups if (place := ("rbac_group", group, period)) in self.known
        ]
        everybody = self.known.get(("organization", "", period))
        nearest = own or (min(shared, key=_tightness) if shared else everybody)
        return None if nearest is None else Effective(period, dollars(nearest), nearest)

    def rules(self, call: Call) -> Sequence[tuple[Rule, str]]:
        """Rules for this caller, and the entity that each takes from."""
        user, groups = user_of(call), call.principal.groups
        found = self._rules.get((user, groups))
        if found is None:
            if len(self._rules) >= CALLERS:
                self._rules.clear()
            limits = [each.limit for each in self.of(user, groups) if each.usd is not None]
            found = self._rules[user, groups] = [(rule(limit), f"{GROUP}={user}") for limit in limits]
        return found


def user_of(call: Call) -> str:
    return call.attribution.user or call.principal.name or call.principal.id


def dollars(limit: Document) -> float | None:
    return None if limit["amount"] is None else int(limit["amount"]) / 100


def _tightness(limit: Document) -> float:
    usd = dollars(limit)
    return float("inf") if usd is None else usd


def _place(limit: Document) -> tuple[str, str, str]:
    scope = limit["scope"]
    return scope["type"], scope.get("user_id") or scope.get("rbac_group_id") or "", limit["period"]


def rule(limit: Document) -> Rule:
    usd = dollars(limit) or SMALLEST
    return Rule(
        name=f"the {limit['period']} spend limit",
        unit="usd",
        amount=usd,
        rate=0.0,
        burst=usd,
        per=PERIODS[limit["period"]],
        key=None,
        group=GROUP,
        when=None,
        uncharged=frozenset(),
        on_failure="closed",
        warn=WARN,
    )


def shared(limits: Sequence[Document]) -> list[Rule]:
    """For those who have none of their own, one for each period: the organisation's, else the tightest of a group."""
    found: dict[str, Document] = {}
    for limit in sorted(limits, key=lambda each: (each["scope"]["type"] != "organization", _tightness(each))):
        if limit["scope"]["type"] != "user" and limit["amount"] is not None:
            found.setdefault(limit["period"], limit)
    return [rule(limit) for limit in found.values()]


def of_users(limits: Sequence[Document]) -> dict[str, list[Rule]]:
    """By the entity that each takes from."""
    found: dict[str, list[Rule]] = {}
    for limit in limits:
        if limit["scope"]["type"] == "user" and limit["amount"] is not None:
            found.setdefault(f"{GROUP}={limit['scope']['user_id']}", []).append(rule(limit))
    return found
