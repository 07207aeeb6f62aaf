"""The arithmetic, for any limit, any clock and any order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.limits import bucket
from gateway.limits.bucket import MICRO, Take

NOW = 1_800_000_000 * MICRO

rates = st.floats(0.001, 10_000)
bursts = st.floats(1, 100_000)
costs = st.floats(0.01, 1000)
skews = st.sampled_from([0, 1_000, 50_000])


@dataclass
class Arrival:
    after: int  # µs since the one before
    cost: float


arrivals = st.lists(st.builds(Arrival, st.integers(0, 20 * MICRO), costs), min_size=1, max_size=60)


def run(take: Take, arriving: list[Arrival], skew: int = 0) -> list[tuple[int, float, bool]]:
    """(when, cost, admitted) of each arrival at one bucket."""
    state: dict[str, int | bucket.Places] = {}
    now, seen = NOW, []
    for arrival in arriving:
        now += arrival.after
        decision = bucket.decide(state, [replace(take, cost=arrival.cost)], now, skew)
        state.update(decision.changes)
        seen.append((now, arrival.cost, not decision.denied))
    return seen


@given(rates, bursts, costs | st.floats(-1000, 0), st.sampled_from([0.0, 1.8e9]))
def test_a_take_at_another_cost_is_as_if_made_for_it(
    rate: float, burst: float, cost: float, since: float
) -> None:
    assert Take("l", rate, burst, 1, since).at(cost) == Take("l", rate, burst, cost, since)


@given(rates, bursts, arrivals, skews)
def test_never_more_than_the_burst_or_the_largest_cost_plus_the_rate(
    rate: float, burst: float, arriving: list[Arrival], skew: int
) -> None:
    seen = [(now, cost) for now, cost, admitted in run(Take("l", rate, burst, 1), arriving, skew) if admitted]
    for first in range(len(seen)):
        total, largest = 0.0, burst
        for now, cost in seen[first:]:
            total += cost
            largest = max(largest, cost)
            allowed = largest + rate * (now - seen[first][0]) / MICRO
            assert total <= allowed * (1 + 1e-9) + rate * len(seen) / MICRO


@given(rates, bursts, arrivals, skews)
def test_who_comes_back_when_told_to_is_admitted_and_not_before(
    rate: float, burst: float, arriving: list[Arrival], skew: int
) -> None:
    take = Take("l", rate, burst, 1)
    state: dict[str, int | bucket.Places] = {}
    now = NOW
    for arrival in arriving:
        now += arrival.after
        asked = [replace(take, cost=arrival.cost)]
        decision = bucket.decide(state, asked, now, skew)
        if decision.denied:
            wait = round(decision.retry_after * MICRO)
            assert bucket.decide(state, asked, now + wait - 1, skew).denied
            assert not bucket.decide(state, asked, now + wait, skew).denied
        state.update(decision.changes)


@given(st.floats(0.01, 1000), bursts, arrivals)
def test_what_is_said_to_remain_can_be_taken_and_a_unit_more_cannot(
    rate: float, burst: float, arriving: list[Arrival]
) -> None:
    take = Take("l", rate, burst, 1)
    state: dict[str, int | bucket.Places] = {}
    now = NOW
    for arrival in arriving:
        now += arrival.after
        state.update(bucket.decide(state, [replace(take, cost=arrival.cost)], now).changes)
    left = bucket.left(take, state.get("l"), now)
    tat = state["l"]
    assert isinstance(tat, int)
    assume(tat > now)
    if left >= 1:
        assert not bucket.decide(state, [replace(take, cost=left - 1e-3)], now).denied
    assert bucket.decide(state, [replace(take, cost=left + 1.001)], now).denied


@given(rates, st.lists(st.floats(-50, 50), max_size=20), st.randoms())
def test_the_order_of_settlements_does_not_matter(
    rate: float, differences: list[float], random: object
) -> None:
    take = Take("l", rate, 100, 1)
    start: dict[str, int | bucket.Places] = {"l": NOW}
    shuffled = list(differences)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ends = []
    for order in (differences, shuffled):
        state = dict(start)
        for difference in order:
            state.update(bucket.settled(state, [replace(take, cost=difference)]))
        ends.append(state["l"])
    assert ends[0] == ends[1]


@given(st.floats(0.01, 1000), costs, costs)
def test_a_settlement_never_gives_back_more_than_was_taken(
    burst: float, reserved: float, used: float
) -> None:
    for take in (Take("l", 3.7, burst, reserved), Take("l", 0.0, burst, reserved, since=NOW / MICRO)):
        assert bucket.terms(take, NOW).inc + replace(take, cost=-reserved).inc >= 0
        moved = bucket.terms(take, NOW).inc + replace(take, cost=used - reserved).inc
        unit = MICRO if take.since else MICRO / take.rate
        assert moved >= used * unit - 1


@given(st.floats(0.01, 1000), st.lists(st.tuples(st.integers(0, 400_000), costs), max_size=40))
def test_a_budget_is_never_exceeded_within_its_period(
    amount: float, spending: list[tuple[int, float]]
) -> None:
    state: dict[str, int | bucket.Places] = {}
    spent: dict[float, float] = {}
    now = NOW
    for after, cost in spending:
        now += after * MICRO
        since = now // MICRO // bucket.DAY * bucket.DAY
        decision = bucket.decide(state, [Take("b", 0.0, amount, cost, since=since)], now)
        if not decision.denied:
            spent[since] = spent.get(since, 0.0) + cost
        state.update(decision.changes)
    assert all(total <= amount + 1e-5 for total in spent.values())


@given(st.lists(st.integers(-50_000, 50_000), min_size=2, max_size=5), st.integers(2, 20), arrivals)
def test_machines_whose_clocks_disagree_within_the_band_stay_within_the_bound(
    offsets: list[int], rate: int, arriving: list[Arrival]
) -> None:
    """The bound of a fleet: that of one clock, and what the clocks' disagreement refills."""
    skew = max(offsets) - min(offsets)
    take = Take("l", rate, 10.0, 1)
    state: dict[str, int | bucket.Places] = {}
    now, total = NOW, 0.0
    for index, arrival in enumerate(arriving):
        now += arrival.after // 100
        cost = min(arrival.cost, 10.0)
        decision = bucket.decide(state, [replace(take, cost=cost)], now + offsets[index % len(offsets)], skew)
        total += 0 if decision.denied else cost
        state.update(decision.changes)
    assert total <= 10.0 + rate * (now - NOW + skew) / MICRO + 1e-3
