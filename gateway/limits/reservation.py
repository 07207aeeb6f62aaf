"""What one operation has taken, until it is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.limits import answers
from gateway.limits.answers import UPSTREAMS
from gateway.limits.demand import Share

if TYPE_CHECKING:
    from gateway.call import Call, Operation
    from gateway.limits.policy import RateLimiter
    from gateway.metering.usage import Usage
    from gateway.types import Message


class Part(Struct, frozen=True, gc=False):
    """What was taken from one entity."""

    entity: str
    shares: Sequence[Share]
    left: Mapping[str, float]
    local: bool = False  # from this process' own buckets, which stood in for the store

    def back(self) -> list[Share]:
        """What gives all of it back."""
        return [share if share.slot else share.at(-share.cost) for share in self.shares]


class Held(Struct):
    """A reservation. `settle` once; later calls do nothing."""

    limiter: RateLimiter
    call: Call
    op: Operation
    parts: list[Part] = []  # empty: nothing was taken at all
    owes: bool = False  # whether there will be something to settle
    waits_for_usage: bool = False  # whether what is settled depends on what was used
    expected: Usage | None = None  # estimated when a limit asks for it
    usd: float | None = None  # what that costs
    settled: bool = False

    def tell(self, message: Message) -> None:
        """Puts the caller's own figures into the head of a successful answer, in place of those of a shared credential."""
        if message["status"] >= 400:
            return
        own = answers.headers(self.call.dialect, self.parts, self.limiter.now())
        if own:
            kept = [item for item in message.get("headers", ()) if not UPSTREAMS[item[0]]]
            message["headers"] = kept + own

    async def settle(self, usage: Usage | None, usd: float | None) -> None:
        """Charge what was used instead of what was reserved; without usage nothing was."""
        if self.settled:
            return
        self.settled = True
        if usage is not None:
            self.limiter.learn(self.call, self.op, usage)
        if not self.owes:
            return
        waiting = []
        for part in self.parts:
            owed = [
                share if share.slot else share.at(_used(share, usage, usd) - share.cost)
                for share in part.shares
                if share.rule.unit != "requests"
            ]
            if owed and (charge := self.limiter.charge(part.entity, owed, local=part.local)) is not None:
                waiting.append(charge)
        if waiting:
            await self._all(waiting)

    async def undo(self) -> None:
        """Give everything back: a later limit said no, and the operation does not happen."""
        self.settled = True
        charges = [self.limiter.charge(part.entity, part.back(), local=part.local) for part in self.parts]
        await self._all([charge for charge in charges if charge is not None])

    async def _all(self, charges: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Every charge is made, even if the request is cancelled in the middle of it."""
        if self.limiter.settling_waits:
            await asyncio.shield(asyncio.gather(*charges))
            return
        for charge in charges:
            await charge


def _used(share: Share, usage: Usage | None, usd: float | None) -> float:
    return usd or 0.0 if share.rule.unit == "usd" else usage.total if usage is not None else 0
