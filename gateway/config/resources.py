"""What outlives a change of configuration: the store, the upstream client, counters and logs.

Each is made on first use, by what the file says of it; the same words bring back the same object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gateway.metering.meter import UsageMeter
from gateway.metering.prices import Prices
from gateway.policy.switches import Switches
from gateway.stores import open_store
from gateway.stores.protocols import Store

if TYPE_CHECKING:
    from gateway.limits.policy import RateLimiter
    from gateway.llm.cache import Cache
    from gateway.net.client import Client

T = TypeVar("T")
Place = Literal["server", "lambda", "lambda-streaming"]
Section = Mapping[str, Any]


class Resources:
    """`place` is where the process runs: on Lambda nothing may be left for after the answer. `dry` writes nothing."""

    def __init__(self, *, place: Place = "server", dry: bool = False) -> None:
        self.place = place
        self.dry = dry
        self._made: dict[str, Any] = {}
        self._store_url = "memory:"

    @property
    def serverless(self) -> bool:
        return self.place != "server"

    def use(self, file: Section) -> None:
        """Take up what this file says."""
        self._store_url = file.get("store", "memory:")

    def once(self, what: str, section: Any, make: Callable[[], T]) -> T:
        """One object for one name and one set of words."""
        key = f"{what} {json.dumps(section, sort_keys=True, default=str)}"
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[no-any-return]

    @property
    def store(self) -> Store:
        return self.once("store", self._store_url, lambda: open_store(self._opened_url()))

    def _opened_url(self) -> str:
        """On Lambda the store settles before the answer ends, and leases nothing."""
        if self.serverless and self._store_url.startswith("dynamodb:"):
            return self._store_url + ("&" if "?" in self._store_url else "?") + "mode=lambda"
        return self._store_url

    @property
    def switches(self) -> Switches:
        return self.once("switches", self._store_url, lambda: Switches(self.store))

    @cached_property
    def client(self) -> Client:
        from gateway.net.pool import Pool

        return Pool()

    def prices(self, usage: Section) -> Prices:
        words = {key: usage[key] for key in ("prices", "ceiling") if key in usage}
        return self.once("prices", words, lambda: Prices(usage.get("prices"), ceiling=usage.get("ceiling")))

    def meter(self, usage: Section) -> UsageMeter:
        from gateway.middleware.expressions import labels_of

        def make() -> UsageMeter:
            labels = labels_of(usage.get("labels", {}))
            linger = {"linger": 0.0} if self.serverless else {}
            return UsageMeter(self.store, prices=self.prices(usage), labels=labels, **linger)

        return self.once("meter", [self._store_url, usage], make)

    def limiter(self, policies: Section) -> RateLimiter:
        """One for the same limits wherever they stand; there always, for the limits of keys and those set while it runs."""
        section: Section = policies.get("ratelimit") or {}
        from gateway.limits.policy import RateLimiter
        from gateway.limits.rules import Budget, Limit
        from gateway.limits.spend import SpendLimits
        from gateway.middleware.expressions import callable_of

        def make() -> RateLimiter:
            budgets = [
                {**each, "warn": tuple(each.get("warn", (75, 95)))} for each in section.get("budgets", ())
            ]
            return RateLimiter(
                self._counting(section),
                limits=[Limit(**each) for each in section.get("limits", ())],
                budgets=[Budget(**each) for each in budgets],
                prices=self.prices(policies.get("usage") or {}),
                spend=SpendLimits(self.store),
                instances=section.get("instances", 1),
                enforce=section.get("enforce", True),
                compile=callable_of,
            )

        return self.once("limiter", [self._store_url, section, policies.get("usage")], make)

    def cache(self, section: Section) -> Cache:
        """One for the same words wherever they stand: its keys tell routes apart. The memory for everything else has no bound;
        answers have one of their own there."""
        from gateway.llm.cache import Cache
        from gateway.stores.bounded import BoundedDocuments

        def make() -> Cache:
            in_memory = self._store_url == "memory:"
            store = self.once("answers", None, BoundedDocuments) if in_memory else self.store
            return Cache(store=store, at_once=self.serverless, **section)

        return self.once("cache", [self._store_url, section], make)

    def _counting(self, ratelimit: Section) -> Store:
        """Where limits are counted: with everything else, or in this process only."""
        url = ratelimit.get("store")
        return self.store if url is None else self.once("limits' store", url, lambda: open_store(url))

    async def close(self) -> None:
        """Everything that was made, the youngest first: what writes to the store before the store."""
        for made in reversed(self._made.values()):
            close = getattr(made, "close", None)
            if close is not None:
                ending = close()
                if ending is not None:
                    await ending
        if "client" in self.__dict__:
            await self.client.close()
