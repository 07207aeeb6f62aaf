"""The rate limiter: reserves before an operation, settles after it, and decides what a silent store means."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gateway.call import Verdict
from gateway.errors import Refused, StoreError
from gateway.limits import answers, demand, estimate, keys, rules
from gateway.limits.breaker import Breaker
from gateway.limits.bucket import Taken
from gateway.limits.demand import USED, Demand, Group, Rule, Share
from gateway.limits.local import LocalBuckets
from gateway.limits.outputs import Outputs
from gateway.limits.reservation import Held, Part
from gateway.limits.rules import Budget, Limit
from gateway.limits.spend import SpendLimits
from gateway.metering.prices import Prices
from gateway.metering.usage import Usage

if TYPE_CHECKING:
    from gateway.call import Call, Operation, Principal
    from gateway.refusals import Refusal
    from gateway.stores.protocols import Buckets

log = logging.getLogger("gateway.limits")
WARNED = 10_000  # warnings remembered, so that each is given once
CALLERS = 4096  # whose demand is remembered, where nothing but the caller decides it


class RateLimiter:
    """`RateLimiter(store, limits=[Limit(requests=120, key="principal.id")], budgets=[Budget(usd=100, per="day")])`

    `spend` are limits that an administrator sets while it runs. `instances` is by how much a limit is divided while the store
    does not answer. `compile` makes callables of keys and conditions that are text. `counters` counts refusals, failures and
    warnings by what they were.
    """

    def __init__(
        self,
        store: Buckets,
        *,
        limits: Iterable[Limit] = (),
        budgets: Iterable[Budget] = (),
        prices: Prices | None = None,
        instances: int = 1,
        enforce: bool = True,
        spend: SpendLimits | None = None,
        compile: Callable[[str], keys.Key] = keys.compile_plain,
        clock: Callable[[], float] = time.time,
        breaker: Breaker | None = None,
    ) -> None:
        self.rules = demand.compiled(limits, budgets, compile)
        self._groups = demand.grouped(self.rules)
        # Whether some limit needs to know what models use.
        self.learns = any(rule.unit in USED for rule in self.rules)
        self.prices = prices or Prices()
        self.outputs = Outputs()
        self.counters: Counter[str] = Counter()
        self._spend = spend
        self._store = store
        self._here: LocalBuckets | None = getattr(store, "local", None)
        self._local = LocalBuckets(clock)  # stand in for a store that does not answer
        self._instances = instances
        self._enforce = enforce
        self.now = clock
        self._breaker = breaker or Breaker()
        self._numbers = count(1)
        self._warned: dict[tuple[str, str, float], float] = {}
        self._routes: dict[str, tuple[str, str]] = {}
        self._owned: dict[str, tuple[Any, tuple[Group, ...]]] = {}
        self._callers: dict[int, tuple[Principal, Demand]] = {}
        self._common: dict[int, Share] = {}  # by rule

    def at_once(self, call: Call, op: Operation) -> Held | None:
        """`reserve` where nothing has to be waited for; None where something has."""
        here = self._here
        if here is None or (self._spend is not None and op.kind == "llm" and self._spend.stale()):
            return None
        held = Held(self, call, op)
        try:
            for entity, shares in self._demand(held).items():
                taken = here.take(entity, shares)
                if taken.denied:
                    self._deny(call, shares, taken)
                else:
                    held.parts.append(Part(entity, shares, taken.remaining))
        except BaseException:
            for part in held.parts:
                here.settle(part.entity, part.back())
            raise
        if held.owes:
            self._warn(held)
        return held

    async def reserve(self, call: Call, op: Operation) -> Held:
        """Takes from every bucket that counts the operation, or from none and raises Refused."""
        if self._spend is not None and op.kind == "llm" and self._spend.stale():
            await self._spend.fresh()
        if (held := self.at_once(call, op)) is not None:
            return held
        held = Held(self, call, op)
        try:
            for entity, shares in self._demand(held).items():
                if self._breaker.failures and not self._breaker.allows():
                    self.counters["store_skipped"] += 1
                    self._stand_in(held, entity, shares)
                    continue
                try:
                    taken = await self._store.take(entity, shares)
                except StoreError as error:
                    self._unanswered(error)
                    self._stand_in(held, entity, shares)
                else:
                    self._breaker.failures = 0
                    self._taken(held, Part(entity, shares, taken.remaining), taken)
        except BaseException:
            await held.undo()
            raise
        if held.owes:
            self._warn(held)
        return held

    def _unanswered(self, error: StoreError) -> None:
        self._breaker.failed()
        self.counters["store_errors"] += 1
        log.warning("the store did not answer for limits: %s", error)

    def _stand_in(self, held: Held, entity: str, shares: Sequence[Share]) -> None:
        """Buckets of this process, while the store does not answer."""
        shares = [self._smaller(share) for share in self._open(held.call, shares)]
        taken = self._local.take(entity, shares)
        self._taken(held, Part(entity, shares, taken.remaining, local=True), taken)

    def _taken(self, held: Held, part: Part, taken: Taken) -> None:
        if taken.denied:
            self._deny(held.call, part.shares, taken)
        else:
            held.parts.append(part)

    def _deny(self, call: Call, shares: Sequence[Share], taken: Taken) -> None:
        self._refuse(call, answers.refusal(answers.denied(shares, taken), taken.retry_after, self.now()))

    def _open(self, call: Call, shares: Sequence[Share]) -> list[Share]:
        """The shares that a local bucket may stand in for. Raises Refused for those that fail closed."""
        opened = [share for share in shares if share.rule.on_failure == "open"]
        for share in shares:
            if share.rule.on_failure == "closed":
                self.counters["failed_closed"] += 1
                self._refuse(call, answers.unavailable(share.rule))
        self.counters["failed_open"] += len(opened)
        return opened

    def _smaller(self, share: Share) -> Share:
        part = self._instances
        return replace(share, rate=share.rate / part, burst=max(1.0, share.burst / part))

    def _refuse(self, call: Call, refusal: Refusal) -> None:
        action = "refuse" if self._enforce else "would_refuse"
        self.counters[f"{action}:{refusal.rule}"] += 1
        call.verdicts.append(Verdict("ratelimit", action, refusal.rule, refusal.message))  # type: ignore[arg-type]
        if self._enforce:
            raise Refused(refusal)

    def _demand(self, held: Held) -> Demand:
        """What is taken from whom; remembered by the caller's identity, for a principal never changes."""
        who, op, spend = held.call.principal, held.op, self._spend
        if spend is not None and not (spend.known and op.kind == "llm" and op.charged):
            spend = None
        known = self._callers.get(id(who))
        if known is not None and known[0] is who and op.charged and spend is None:
            return known[1]
        key, groups = who.key, self._groups
        if key is not None and key.get("limits"):
            groups = (*self._own(key), *groups)
        found = self._counted(groups, held)
        if spend is not None:
            self.learns = True
            for rule, entity in spend.rules(held.call):
                found[entity] = [*found.get(entity, ()), self._share_of(rule, held)]
        elif op.charged and all(group.of_caller for group in groups):
            if len(self._callers) >= CALLERS:
                self._callers.clear()
            self._callers[id(who)] = who, found
        return found

    def _counted(self, groups: Iterable[Group], held: Held) -> Demand:
        found: Demand = {}
        for group in groups:
            shares = group.always if group.always and held.op.charged else self._shares(group, held)
            if shares:
                for entity in demand.entities(group, held.call, held.op):
                    found[entity] = [*found[entity], *shares] if entity in found else shares
        return found

    def _shares(self, group: Group, held: Held) -> Sequence[Share]:
        call, op = held.call, held.op
        model = op.charged and op.kind == "llm"  # which every rule counts that has no condition
        return [
            fixed or self._share_of(rule, held)
            for rule, fixed in group.asked
            if (model and rule.when is None) or demand.counts(rule, call, op)
        ]

    def _own(self, key: Mapping[str, Any]) -> tuple[Group, ...]:
        """The rules of a virtual key that carries limits of its own."""
        known = self._owned.get(key["id"])
        if known is None or known[0] != key["limits"]:
            if len(self._owned) >= WARNED:
                self._owned.clear()
            known = self._owned[key["id"]] = (key["limits"], demand.grouped(demand.own(key["limits"])))
            self.learns = True
        return known[1]

    def _share_of(self, rule: Rule, held: Held) -> Share:
        held.owes = True
        if rule.unit == "concurrency":
            slot = f"{held.call.id}.{next(self._numbers)}"
            return Share(rule.name, 0.0, rule.burst, 1, slot=slot, rule=rule)
        held.waits_for_usage = True
        usage = held.expected
        if usage is None:
            usage = held.expected = self._expected(held)
        share = self._common_of(rule)
        if rule.per is None:
            return share.at(usage.input + usage.output)
        if held.usd is None:
            provider, model = self._route(held.op)
            held.usd = self.prices.estimate(usage, model=model, provider=provider)
        return share.at(held.usd)

    def _expected(self, held: Held) -> Usage:
        op = held.op
        provider, model = self._route(op)
        prompt = estimate.prompt(held.call.body or b"", model, provider=provider)
        return Usage(prompt, 0 if op.method == "embeddings" else self.outputs.expect(op.model, op.max_tokens))

    def _route(self, op: Operation) -> tuple[str, str]:
        """The provider and its name for the model, as far as they are known before a call."""
        return self._routes.get(op.model) or ("", op.model)

    def _common_of(self, rule: Rule) -> Share:
        """What the shares of a rule have in common: of a budget, for as long as its period lasts."""
        now, found = self.now(), self._common.get(id(rule))
        if found is None or found.rule is not rule or not found.since <= now < found.resets:
            if len(self._common) >= CALLERS:
                self._common.clear()
            since, resets = (0.0, math.inf) if rule.per is None else rules.period(rule.per, now)
            found = Share(rule.name, rule.rate, rule.burst, 0, since=since, rule=rule, resets=resets)
            self._common[id(rule)] = found
        return found

    def _warn(self, held: Held) -> None:
        for part in held.parts:
            for share in part.shares:
                if share.rule.warn:
                    left = part.left[share.limit]
                    level = share.rule.surpassed(left)
                    if level is not None:
                        self._warn_of(part.entity, share, level, left)

    def _warn_of(self, entity: str, share: Share, level: float, left: float) -> None:
        rule, resets = share.rule, share.resets
        if self._warned.get((entity, rule.name, level)) != resets:
            if len(self._warned) >= WARNED:
                self._warned.clear()
            self._warned[entity, rule.name, level] = resets
            self.counters[f"warned:{rule.name}"] += 1
            log.warning("%s: %.0f %% of %s is used", entity, 100 * (1 - left / rule.burst), rule.name)

    @property
    def settling_waits(self) -> bool:
        return getattr(self._store, "settle_waits", False)

    def charge(
        self, entity: str, shares: Sequence[Share], *, local: bool
    ) -> Coroutine[Any, Any, None] | None:
        """What a reservation settles; None where that is done."""
        here = self._local if local else self._here
        if here is None:
            return self._charge(entity, shares)
        here.settle(entity, shares)
        return None

    async def _charge(self, entity: str, shares: Sequence[Share]) -> None:
        """A store that does not answer leaves it at what was reserved."""
        try:
            await self._store.settle(entity, shares)
        except StoreError as error:
            self.counters["settle_errors"] += 1
            log.warning("the store did not settle %s: %s", entity, error)

    def learn(self, call: Call, op: Operation, usage: Usage) -> None:
        """What the next estimate for this model starts from."""
        if not self.learns:
            return
        self.outputs.note(op.model, usage.output)
        if call.upstream_model and self._routes.get(op.model) != (call.provider, call.upstream_model):
            if len(self._routes) >= WARNED:
                self._routes.clear()
            self._routes[op.model] = (call.provider, call.upstream_model)
