"""How much is left: the generic cell rate algorithm, in whole numbers and without I/O.

A limit is one number, the moment at which its bucket would be full again ("tat", in µs). Taking moves it on by what the
cost takes to refill; a bucket is full when that moment is past, and empty when it lies `burst / rate` ahead. A budget is the
same number with an origin that jumps once a period instead of moving with the clock, counted in millionths. A place (of a
concurrency limit) is not a number: it is held by name until it is given back.

    inc = ceil(cost * 1e6 / rate)     tau = burst * 1e6 / rate     span = tau - skew
    idle: tat = origin + inc          if there is no tat, or tat <= origin
    busy: tat = tat + inc             if origin - skew <= tat <= origin + span - inc
    else denied, for (tat + inc - span - origin) µs

`skew` is how far the clocks of several machines may disagree: between `origin - skew` and `origin` both branches are right,
so that two machines never undo each other's decision. A cost above the burst is admitted by a full bucket only, and leaves
it in debt: what is admitted in t seconds is at most max(burst, largest cost admitted) + rate * t. A budget admits no such cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Self, cast

import msgspec
from msgspec.structs import force_setattr

MICRO = 1_000_000
DAY = 86_400
PERIOD = 10**14  # one period's room: 100 million units, in millionths
BUDGETS = 10_000  # a number of more periods than that is a budget, of fewer a time
LONGEST = 32  # days of the longest period
PLACE_RETRY = 1.0  # nobody knows when a place is given back

Places = dict[str, int]  # who holds a place → until when it is believed (µs)
State = Mapping[str, "int | Places"]  # one entity: limit → tat or places


# No dataclass: it is built for every decision, in a tenth of the time.
class Take(msgspec.Struct, frozen=True, gc=False):
    """One limit's share of a decision. `rate` a second, `burst` at most at once; both in the limit's own unit.

    With `since` it is a budget: `burst` in all, counted anew from each later `since` (a midnight, UTC). With `slot` it is one
    of `burst` places, held under that name until settled, or for `hold` seconds if its holder dies.
    """

    limit: str  # the limit's name: one attribute of the entity's item
    rate: float
    burst: float
    cost: float
    since: float = 0.0
    slot: str = ""
    hold: float = 900.0
    # The same in whole numbers: what is taken is often the same for every call, and the rest is addition.
    origin: int = 0  # of a budget: where its number starts
    tau: int = 0
    inc: int = 0  # rounded up, so that what is given back is never more than was taken

    def __post_init__(self) -> None:
        if self.since:
            force_setattr(self, "origin", int(self.since // DAY) * PERIOD)
            force_setattr(self, "tau", round(self.burst * MICRO))
            force_setattr(self, "inc", ceil(self.cost * MICRO))
        elif not self.slot:
            force_setattr(self, "tau", int(self.burst * MICRO / self.rate))
            force_setattr(self, "inc", ceil(self.cost * MICRO / self.rate))

    def at(self, cost: float) -> Self:
        """The same at another cost."""
        found: Self = self.__copy__()  # type: ignore[attr-defined]
        scaled = cost * MICRO
        force_setattr(found, "cost", cost)
        if not self.slot:
            force_setattr(found, "inc", ceil(scaled if self.since else scaled / self.rate))
        return found


class Taken(msgspec.Struct, frozen=True, gc=False):
    """`denied` names the first limit that said no; then nothing at all was taken.

    `retry_after` is in seconds, and 0 where time alone does not help (a budget). `changes` is what the store has to write.
    """

    denied: str = ""
    retry_after: float = 0.0
    remaining: Mapping[str, float] = {}  # limit name → what is left
    changes: dict[str, int | Places] = {}


class Terms(msgspec.Struct, frozen=True, gc=False):
    """A take at this moment. `origin` is where an untouched bucket stands."""

    origin: int
    skew: int
    span: int
    inc: int


def terms(take: Take, now: int, skew: int = 0) -> Terms:
    if take.since:
        return Terms(take.origin, 0, take.tau, take.inc)
    skew = min(skew, take.tau // 5)
    return Terms(now, skew, take.tau - skew, take.inc)


def wait(tat: int, t: Terms) -> int:
    """µs until a denied take would be admitted, if nobody else took or gave back."""
    return max(1, tat - t.origin + min(0, t.inc - t.span))


def left(take: Take, value: int | Places | None, now: int, skew: int = 0) -> float:
    """What is left of a limit, in its own unit."""
    if take.slot:
        return max(0.0, take.burst - len(believed(value, now)))
    t = terms(take, now, skew)
    used = max(0, cast(int, value) - t.origin) if value is not None else 0
    return _told(take, t.span - used)


def _told(take: Take, room: int) -> float:
    """Room in the limit's own unit: a budget's as it is, whole requests and tokens."""
    if room <= 0:
        return 0.0
    return room / MICRO if take.since else int(room * take.rate / MICRO)


def believed(value: int | Places | None, now: int) -> Places:
    """The places still held: one whose holder died is free again when its time is over."""
    held = cast("Places | None", value)
    return {slot: until for slot, until in held.items() if until > now} if held else {}


def decide(state: State, takes: Sequence[Take], now: int, skew: int = 0) -> Taken:
    """All of them or none."""
    denied, retry = "", 0.0
    changes: dict[str, int | Places] = {}
    remaining: dict[str, float] = {}
    for take in takes:
        name, since = take.limit, take.since
        if take.slot:
            held = believed(state.get(name), now)
            if len(held) + take.cost > take.burst:
                denied, retry = denied or name, max(retry, PLACE_RETRY)
            held[take.slot] = now + int(take.hold * MICRO)
            changes[name], remaining[name] = held, take.burst - len(held)
            continue
        origin, span = take.origin if since else now, take.tau
        if skew and not since:
            span -= min(skew, span // 5)
        ahead: int = state.get(name, origin) - origin  # type: ignore[operator]
        if ahead < 0:
            ahead = 0
        used = ahead + take.inc
        changes[name], room = origin + used, span - used
        if room < 0 and (since or ahead):
            denied = denied or name
            retry = retry if since else max(retry, wait(origin + ahead, terms(take, now, skew)) / MICRO)
        # As `_told`, which would be called for each decision.
        remaining[name] = 0.0 if room <= 0 else room / MICRO if since else int(room * take.rate / MICRO)
    if denied:
        return Taken(denied, retry, _untouched(state, takes, now, skew))
    return Taken("", 0.0, remaining, changes)


def _untouched(state: State, takes: Sequence[Take], now: int, skew: int) -> dict[str, float]:
    return {take.limit: left(take, state.get(take.limit), now, skew) for take in takes}


def settled(state: State, takes: Sequence[Take]) -> dict[str, int | Places]:
    """What the entity's limits are once `cost` more (or less) is charged. Sums, so that their order does not matter."""
    changes: dict[str, int | Places] = {}
    for take in takes:
        name = take.limit
        value: Any = changes[name] if name in changes else state.get(name)
        if take.slot:
            changes[name] = {k: v for k, v in (value or {}).items() if k != take.slot}
        elif value is not None and not (take.since and lapsed(take, value)):
            changes[name] = value + take.inc
    return changes


def lapsed(take: Take, value: int) -> bool:
    """Whether this would give back, in a later period, what an earlier one had reserved."""
    return take.since > 0 and take.cost < 0 and value // PERIOD > take.since // DAY


def idle(state: State, now: int) -> bool:
    """Whether the entity could as well be forgotten: every bucket full, every budget's period long over, no place held."""
    for value in state.values():
        if isinstance(value, dict):
            if believed(value, now):
                return False
        elif value >= PERIOD * BUDGETS:
            if value // PERIOD > now // MICRO // DAY - LONGEST:
                return False
        elif value > now:
            return False
    return True
