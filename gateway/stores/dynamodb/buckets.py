"""Limits in DynamoDB: one conditional write for each entity and decision, or none.

None: when the key was just denied (until its Retry-After), and when a lease has room. What is settled waits for the next
write of its entity (long-running processes), or is written at once (`settle_now`, on Lambda).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.errors import StoreError
from gateway.limits import bucket
from gateway.limits.bucket import MICRO, Take, Taken
from gateway.stores.dynamodb import writes
from gateway.stores.dynamodb.client import ConditionFailed, DynamoClient
from gateway.stores.dynamodb.guesses import Guesses
from gateway.stores.dynamodb.leases import Leases
from gateway.stores.dynamodb.writes import Values
from gateway.tasks import end, under_way

log = logging.getLogger("gateway.stores")
SKEW = 0.05  # seconds by which machines' clocks may disagree
TRIES = 8
REMEMBERED = 10_000  # entities whose state is kept to guess from
FLUSH = 1.0  # seconds that a settlement waits for company
MONEY_DENIED = 1.0  # seconds; others' settlements may free a budget at any time


class DynamoBuckets:
    def __init__(
        self,
        client: DynamoClient,
        table: str,
        *,
        skew: float = SKEW,
        settle_now: bool = False,
        leases: Leases | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self._skew = int(skew * MICRO)
        self._settle_now = settle_now
        self._leases = leases
        self._clock = clock
        self._seen: dict[str, Values] = {}
        # Entity → until, the cost denied, the answer.
        self._denied: dict[str, tuple[float, float, Taken]] = {}
        self._pending: dict[str, dict[str, int]] = {}
        self._guesses = Guesses(self._skew)
        self._members: dict[str, str] = {}  # a place's name → the member that stands for it
        self._flusher: asyncio.Task[None] | None = None

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        if (known := self._known_denial(entity, takes)) is not None:
            return known
        if self._leases is None or any(take.slot for take in takes):
            return await self._bounded(entity, takes)
        if (spent := self._leases.spend(entity, takes, self._clock())) is not None:
            return spent
        if (more := self._leases.wanted(entity, takes)) is not None:
            taken = await self._bounded(entity, more, quiet=True)
            if not taken.denied:
                self._schedule()
                return self._leases.opened(entity, takes, more, taken, self._clock())
        return await self._bounded(entity, takes)

    async def _bounded(self, entity: str, takes: Sequence[Take], *, quiet: bool = False) -> Taken:
        """`quiet`: a denial is not remembered."""
        try:
            async with asyncio.timeout(self._client.budget):
                return await self._decide(entity, takes, quiet=quiet)
        except TimeoutError:
            raise StoreError(f"DynamoDB did not answer within {self._client.budget} s") from None

    async def _decide(self, entity: str, takes: Sequence[Take], *, quiet: bool) -> Taken:
        before = None if (known := self._seen.get(entity)) is None else dict(known)
        seen, exact = before or {}, False
        pending = self._pending.pop(entity, {})
        busy = self._guesses.busy(entity, takes, before)
        try:
            for _ in range(TRIES):
                now = int(self._clock() * MICRO)
                denial = self._denial(seen, takes, pending, now, exact=exact)
                if denial is not None:
                    self._remember_denial(entity, takes, denial, quiet=quiet)
                    return denial
                update = writes.acquire(takes, seen, pending, now, self._skew, busy)
                try:
                    item = await self._write(entity, update.request())
                except ConditionFailed as failed:
                    seen, busy = self._saw(entity, failed.item), ()
                    if not exact:
                        self._guesses.failed(entity, takes, before, seen, now)
                    exact = True
                    continue
                if not exact:
                    self._guesses.succeeded(entity, takes, before, busy, now)
                pending = {}
                return self._taken(entity, takes, item, now)
            raise StoreError(f"DynamoDB: {TRIES} conditional writes of {entity} failed")
        finally:
            self._owe(entity, pending)

    async def _write(self, entity: str, update: Mapping[str, Any]) -> Mapping[str, Any]:
        request = {
            "TableName": self._table,
            "Key": key(entity),
            "ReturnValues": "UPDATED_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **update,
        }
        answer = await self._client.call("UpdateItem", request)
        found: Mapping[str, Any] = answer.get("Attributes", {})
        return found

    def _denial(
        self, seen: Values, takes: Sequence[Take], pending: Mapping[str, int], now: int, *, exact: bool
    ) -> Taken | None:
        """What was just seen to be denied. Without having just seen it, only what no state would admit."""
        if not exact:
            never = [t for t in takes if t.since and t.cost > t.burst]
            return Taken(never[0].limit, 0.0, {t.limit: t.burst for t in takes}) if never else None
        state = _with(seen, pending)
        found = bucket.decide(state, takes, now, self._skew)
        return found if found.denied else None

    def _taken(self, entity: str, takes: Sequence[Take], item: Mapping[str, Any], now: int) -> Taken:
        values = self._saw(entity, item)
        self._denied.pop(entity, None)
        for take in takes:
            if take.slot:
                self._members[take.slot] = writes.member(take, now)
        return Taken("", 0.0, {t.limit: bucket.left(t, values.get(t.limit), now, self._skew) for t in takes})

    def _saw(self, entity: str, item: Mapping[str, Any]) -> Values:
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        values = self._seen.setdefault(entity, {})
        values.update(writes.state(item))
        return values

    def _known_denial(self, entity: str, takes: Sequence[Take]) -> Taken | None:
        known = self._denied.get(entity)
        if known is None:
            return None
        until, cost, answer = known
        now = self._clock()
        if now >= until:
            del self._denied[entity]
            return None
        same = next((take for take in takes if take.limit == answer.denied), None)
        if same is None or same.cost < cost or not {take.limit for take in takes} <= answer.remaining.keys():
            return None
        return Taken(answer.denied, until - now if answer.retry_after else 0.0, answer.remaining)

    def _remember_denial(self, entity: str, takes: Sequence[Take], denial: Taken, *, quiet: bool) -> None:
        take = next(take for take in takes if take.limit == denial.denied)
        if quiet or take.slot:
            return
        if len(self._denied) >= REMEMBERED:
            self._denied.clear()
        wait = min(denial.retry_after, MONEY_DENIED) if take.since else denial.retry_after
        self._denied[entity] = (self._clock() + (wait or MONEY_DENIED), take.cost, denial)

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        self._denied.pop(entity, None)
        leaving: dict[str, list[str]] = {}
        due: dict[str, int] = {}
        for take in takes:
            if take.slot:
                if (member := self._members.pop(take.slot, None)) is not None:
                    leaving.setdefault(take.limit, []).append(member)
            elif not self._lapsed(entity, take):
                due[take.limit] = due.get(take.limit, 0) + take.inc
        self._owe(entity, due)
        if leaving or self._settle_now:
            await self._flush(entity, leaving)
        else:
            self._schedule()

    def _owe(self, entity: str, due: Mapping[str, int]) -> None:
        if not due:
            return
        owed = self._pending.setdefault(entity, {})
        for limit, amount in due.items():
            owed[limit] = owed.get(limit, 0) + amount

    def _schedule(self) -> None:
        if not under_way(self._flusher):
            self._flusher = asyncio.get_running_loop().create_task(self._flush_all())

    async def _flush_all(self) -> None:
        while self._pending or (self._leases is not None and self._leases.held):
            await asyncio.sleep(FLUSH)
            self._give_back(self._clock())
            await self._flush_pending()

    async def _flush_pending(self) -> None:
        for entity in list(self._pending):
            try:
                await self._flush(entity, {})
            except StoreError as error:
                log.warning("DynamoDB did not settle %s, to be tried again: %s", entity, error)
                return

    def _give_back(self, now: float) -> None:
        """What leases have left over after a second goes back to everybody."""
        if self._leases is not None:
            for entity, takes in self._leases.ended(now):
                self._owe(
                    entity,
                    {take.limit: take.inc for take in takes if not self._lapsed(entity, take)},
                )

    def _lapsed(self, entity: str, take: Take) -> bool:
        value = self._seen.get(entity, {}).get(take.limit)
        return isinstance(value, int) and bucket.lapsed(take, value)

    async def _flush(self, entity: str, leaving: Mapping[str, list[str]]) -> None:
        pending = {limit: amount for limit, amount in self._pending.pop(entity, {}).items() if amount}
        if not pending and not leaving:
            return
        try:
            request = writes.settlement(pending, leaving, int(self._clock() * MICRO))
            self._saw(entity, await self._write(entity, request))
        except StoreError:
            self._owe(entity, pending)
            raise

    async def close(self) -> None:
        await end(self._flusher)
        self._give_back(float("inf"))
        await self._flush_pending()


def key(entity: str) -> dict[str, Any]:
    return {"pk": {"S": "b#" + entity}, "sk": {"S": "-"}}


def _with(seen: Values, pending: Mapping[str, int]) -> Values:
    state = dict(seen)
    for limit, amount in pending.items():
        value = state.get(limit)
        if isinstance(value, int):
            state[limit] = value + amount
    return state
