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
from typing import cast

import msgspec

MICRO = 1_000_000
DAY = 86_400
PERIOD = 10**14  # one period's room: 100 million units, in millionths
BUDGETS = 10_000  # a number of more periods than that is a budget, of fewer a time
LONGEST = 32  # days of the longest period
PLACE_RETRY = 1.0  # nobody knows when a place is given back

Places = dict[str, int]  # who holds a place → until when it is believed (µs)
State = Mapping[str, "int | Places"]  # one entity: limit → tat or places


class Take(
    msgspec.Struct, frozen=True, gc=False
):  # not a dataclass: built for every decision, in a tenth of the time
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


class Taken(msgspec.Struct, frozen=True, gc=False):
    """`denied` names the first limit that said no; then nothing at all was taken.

    `retry_after` is in seconds, and 0 where time alone does not help (a budget).
    """

    denied: str = ""
    retry_after: float = 0.0
    remaining: Mapping[str, float] = {}  # limit name → what is left


class Terms(msgspec.Struct, frozen=True, gc=False):
    """A take in whole numbers. `origin` is where an untouched bucket stands."""

    origin: int
    skew: int
    span: int
    inc: int


class Decision(msgspec.Struct, frozen=True, gc=False):
    """`changes` is what to write, empty when denied; `left` what remains of each limit afterwards."""

    denied: str
    retry_after: float
    changes: dict[str, int | Places]
    left: dict[str, float]


def terms(take: Take, now: int, skew: int = 0) -> Terms:
    rate = take.rate
    if take.since:
        origin = int(take.since // DAY) * PERIOD
        return Terms(origin, 0, round(take.burst * MICRO), ceil(take.cost * MICRO))
    tau = int(take.burst * MICRO / rate)
    if skew:
        skew = min(skew, tau // 5)
    return Terms(now, skew, tau - skew, ceil(take.cost * MICRO / rate))


def wait(tat: int, t: Terms) -> int:
    """µs until a denied take would be admitted, if nobody else took or gave back."""
    return max(1, tat - t.origin + min(0, t.inc - t.span))


def left(take: Take, value: int | Places | None, now: int, skew: int = 0) -> float:
    """What is left of a limit, in its own unit."""
    if take.slot:
        return max(0.0, take.burst - len(believed(value, now)))
    t = terms(take, now, skew)
    used = max(0, cast(int, value) - t.origin) if value is not None else 0
    room = max(0, t.span - used)
    return room / MICRO if take.since else float(int(room * take.rate / MICRO))


def believed(value: int | Places | None, now: int) -> Places:
    """The places still held: one whose holder died is free again when its time is over."""
    held = cast("Places | None", value)
    return {slot: until for slot, until in held.items() if until > now} if held else {}


def decide(state: State, takes: Sequence[Take], now: int, skew: int = 0) -> Decision:
    """All of them or none."""
    denied, retry = "", 0.0
    changes: dict[str, int | Places] = {}
    remaining: dict[str, float] = {}
    moved: int | Places | None
    for take in takes:
        name = take.limit
        if take.slot:
            moved, pause, remaining[name] = _place(take, state.get(name), now)
        else:
            moved, pause, remaining[name] = _number(take, state.get(name), now, skew)  # type: ignore[arg-type]
        if moved is not None:
            changes[name] = moved
        else:
            denied = denied or name
            retry = max(retry, pause)
    if not denied:
        return Decision("", 0.0, changes, remaining)
    return Decision(
        denied, retry, {}, {take.limit: left(take, state.get(take.limit), now, skew) for take in takes}
    )


def _number(take: Take, tat: int | None, now: int, skew: int) -> tuple[int | None, float, float]:
    """Where the number goes, or how long to wait; and what is then left."""
    t = terms(take, now, skew)
    origin = t.origin
    if tat is None or tat < origin:
        tat = origin
    moved = tat + t.inc
    room = t.span - moved + origin
    if room >= 0 or (tat == origin and not take.since):
        if room < 0:
            room = 0
        return moved, 0.0, room / MICRO if take.since else float(int(room * take.rate / MICRO))
    return None, 0.0 if take.since else wait(tat, t) / MICRO, 0.0


def _place(take: Take, value: int | Places | None, now: int) -> tuple[Places | None, float, float]:
    held = believed(value, now)
    if len(held) + take.cost > take.burst:
        return None, PLACE_RETRY, 0.0
    held[take.slot] = now + int(take.hold * MICRO)
    return held, 0.0, take.burst - len(held)


def settled(state: State, takes: Sequence[Take]) -> dict[str, int | Places]:
    """What the entity's limits are once `cost` more (or less) is charged. Sums, so that their order does not matter."""
    changes: dict[str, int | Places] = {}
    for take in takes:
        value = changes.get(take.limit, state.get(take.limit))
        if take.slot:
            changes[take.limit] = {k: v for k, v in cast(Places, value or {}).items() if k != take.slot}
        elif value is not None and not lapsed(take, cast(int, value)):
            changes[take.limit] = cast(int, value) + delta(take)
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


def delta(take: Take) -> int:
    """How far a settlement moves the number; rounded so that it never gives back more than was taken."""
    return ceil(take.cost * MICRO / (1 if take.since else take.rate))
