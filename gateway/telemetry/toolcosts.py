"""Tool costs of a process: read from request bodies in a thread, summed by day, kept as one small document a day.

A request adds to its set of definitions as a whole, not to each of the tools: they are told apart when the sums are saved.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any, Protocol

from msgspec import Struct

from gateway.call import Call
from gateway.errors import StoreError, Unwritable
from gateway.metering import toolcost
from gateway.metering.conversation import Stretch
from gateway.metering.definitions import Definitions
from gateway.metering.prices import Rates
from gateway.metering.prompt import Prompt, Reader
from gateway.metering.usage import Usage
from gateway.stores import rows
from gateway.stores.protocols import Documents
from gateway.telemetry.background import Background

log = logging.getLogger("gateway.telemetry")
DOCUMENTS = "toolcost"
WAITING = 32 * 1024 * 1024  # bytes of bodies that may wait
METHODS = frozenset({"messages", "chat"})
DAY = 86_400
TRIES = 20  # to add to a day's document to which others add, too
# Tools of a day that are told apart, and bytes of their names: DynamoDB holds no document beyond 400 KB.
MOST = 1500
LONGEST = 150
OTHERS = "other"
Costs = dict[str, "Cost"]  # by tool


class Prices(Protocol):
    def rates(self, prompt: int, *, model: str, provider: str = "") -> Rates: ...


@dataclass(slots=True)
class Cost:
    """What one tool cost. Tokens include those read from a cache; dollars price them as cached."""

    requests: int = 0  # in which it was defined
    calls: int = 0
    definition_tokens: float = 0
    definition_usd: float = 0.0
    result_tokens: float = 0
    result_usd: float = 0.0

    def add(self, other: Cost) -> None:
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def usd(self) -> float:
        return self.definition_usd + self.result_usd

    @property
    def tokens(self) -> float:
        return self.definition_tokens + self.result_tokens


_NAMES = tuple(field.name for field in fields(Cost))


@dataclass(slots=True)
class Defined:
    """What a set of definitions cost: in how many requests it stood, and what each of its bytes came to."""

    requests: int = 0
    tokens: float = 0.0
    usd: float = 0.0


class Waiting(Struct, frozen=True, gc=False):
    body: bytes
    conversation: str
    at: float
    provider: str
    model: str
    usage: Usage


class ToolCosts:
    """Observer that finds out what tools cost: `ToolCosts(Prices())`; `save(store)` now and then."""

    def __init__(self, prices: Prices, *, size: int = 256) -> None:
        self._prices = prices
        self._came = self._went = 0  # bytes of bodies: one is the requests' to count, the other the thread's
        self._lock = threading.Lock()
        self._unsaved: dict[int, Costs] = {}  # by day since the epoch
        self._defined: dict[tuple[int, Definitions], Defined] = {}
        self._reader = Reader()
        self.queue: Background[Waiting] = Background(self._work, name="toolcost", size=size)

    def finished(self, call: Call) -> None:
        for record in call.records:
            if record.kind == "llm" and record.method in METHODS and record.usage and call.body:
                size = len(call.body)
                if self._came - self._went + size > WAITING:
                    self.queue.dropped += 1
                    return
                model, whose = record.upstream_model or record.model, record.session or record.principal
                one = Waiting(call.body, whose, record.at, record.provider, model, record.usage)
                if self.queue.put(one):
                    self._came += size

    def _work(self, batch: list[Waiting]) -> None:
        self._went += sum(len(waiting.body) for waiting in batch)  # whatever becomes of them
        for waiting in batch:
            prompt = self._reader.read(waiting.body, waiting.conversation)
            if prompt is not None:
                self._add(prompt, waiting)

    def _add(self, prompt: Prompt, waiting: Waiting) -> None:
        usage, day = waiting.usage, int(waiting.at // DAY)
        rates = self._prices.rates(usage.prompt, model=waiting.model, provider=waiting.provider)
        bill = toolcost.bill(prompt, usage, rates)
        with self._lock:
            costs = self._unsaved.setdefault(day, {})
            for name in prompt.called:
                costs.setdefault(name, Cost()).calls += 1
            key = day, prompt.definitions
            defined = self._defined.get(key) or self._defined.setdefault(key, Defined())
            defined.requests += 1
            if bill is not None:
                defined.tokens += bill.tokens
                defined.usd += bill.definitions
                _conversation(costs, prompt, prompt.old, bill.tokens, bill.old)
                _conversation(costs, prompt, prompt.new, bill.tokens, bill.new)

    async def save(self, store: Documents) -> None:
        """Add what was found since the last time to the days' documents. What the store does not take waits."""
        await asyncio.to_thread(self.queue.flush)
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
            defined, self._defined = self._defined, {}
        _tell_apart(defined, unsaved)
        try:
            for day in sorted(unsaved):
                try:
                    await _merge(store, rows.day(day * DAY), unsaved[day])
                except Unwritable as error:
                    log.error("tool costs are lost, which the store cannot hold: %s", error)
                del unsaved[day]
        except StoreError as error:
            log.warning("tool costs wait for the store: %s", error)
        finally:
            self._keep(unsaved)

    def _keep(self, unsaved: Mapping[int, Costs]) -> None:
        with self._lock:
            for day, costs in unsaved.items():
                _add(self._unsaved.setdefault(day, {}), costs)

    def close(self) -> None:
        self.queue.close()


def _conversation(costs: Costs, prompt: Prompt, stretch: Stretch, tokens: float, usd: float) -> None:
    for name, size in stretch.tools.items():
        cost = costs.get(name)
        if cost is None:
            cost = costs[name] = Cost()
        cost.result_tokens += size * tokens
        cost.result_usd += size * usd
    for name, size in prompt.brought(stretch):
        cost = costs.setdefault(name, Cost())
        cost.definition_tokens += size * tokens
        cost.definition_usd += size * usd


def _tell_apart(defined: Mapping[tuple[int, Definitions], Defined], unsaved: dict[int, Costs]) -> None:
    for (day, definitions), sums in defined.items():
        names = (*definitions.sizes, *definitions.deferred)
        sizes = {name: definitions.sizes.get(name, 0) for name in names}
        costs = {
            name: Cost(sums.requests, 0, size * sums.tokens, size * sums.usd) for name, size in sizes.items()
        }
        _add(unsaved.setdefault(day, {}), costs)


def _add(to: Costs, costs: Costs) -> None:
    for name, cost in costs.items():
        to.setdefault(name, Cost()).add(cost)


async def _merge(store: Documents, day: str, costs: Mapping[str, Cost]) -> None:
    """Several processes add to the same day: whoever comes second reads again."""
    for _ in range(TRIES):
        standing = await store.get(DOCUMENTS, day)
        tools = dict(standing.value["tools"]) if standing else {}
        for name, cost in costs.items():
            key = "/".join(toolcost.split(name))
            if len(key.encode()) > LONGEST or (key not in tools and len(tools) >= MOST):
                key = "/" + OTHERS
            sum_ = _cost(tools.get(key))
            sum_.add(cost)
            tools[key] = astuple(sum_)
        version = standing.version if standing else 0
        if await store.put(DOCUMENTS, day, {"tools": tools}, expect=version):
            return
    raise StoreError(f"others write {DOCUMENTS}/{day} all the time")


def _cost(values: Iterable[Any] | None) -> Cost:
    return Cost(*values) if values else Cost()


@dataclass(frozen=True, slots=True)
class ToolTotal:
    server: str  # "" is the client's own
    tool: str
    cost: Cost
    last_called: str  # the last day in the window, or ""


async def totals(store: Documents, *, since: str, until: str) -> list[ToolTotal]:
    """Each tool that was defined or called from one day to another (YYYY-MM-DD), the dearest first."""
    sums: dict[str, Cost] = {}
    called: dict[str, str] = {}
    after = since[:-1] + chr(ord(since[-1]) - 1) + "~" if since else ""
    for day, item in await store.list(DOCUMENTS, after=after, limit=4000):
        if since <= day <= until:
            for name, values in item.value["tools"].items():
                cost = _cost(values)
                sums.setdefault(name, Cost()).add(cost)
                if cost.calls:
                    called[name] = day
    found = [_total(name, cost, called.get(name, "")) for name, cost in sums.items()]
    return sorted(found, key=lambda total: -total.cost.usd)


def _total(name: str, cost: Cost, last_called: str) -> ToolTotal:
    server, _, tool = name.partition("/")
    return ToolTotal(server, tool, cost, last_called)
