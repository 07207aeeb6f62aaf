"""Tool costs of a process: read from request bodies in a thread, summed by day, kept as one small document a day."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

from gateway.call import Call
from gateway.errors import StoreError
from gateway.metering import toolcost
from gateway.metering.usage import Usage
from gateway.stores.protocols import Documents
from gateway.telemetry.background import Background

log = logging.getLogger("gateway.telemetry")
DOCUMENTS = "toolcost"
WAITING = 32 * 1024 * 1024  # bytes of bodies that may wait
METHODS = frozenset({"messages", "chat"})
Key = tuple[str, str, str]  # day, server, tool


class Prices(Protocol):
    def estimate(self, usage: Usage, *, model: str, provider: str = "") -> float: ...


@dataclass(slots=True)
class Cost:
    """What one tool cost. Tokens include those read from a cache; dollars price them as cached."""

    requests: int = 0  # in which it was defined
    calls: int = 0
    definition_tokens: int = 0
    definition_usd: float = 0.0
    result_tokens: int = 0
    result_usd: float = 0.0

    def add(self, other: Cost) -> None:
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def usd(self) -> float:
        return self.definition_usd + self.result_usd

    @property
    def tokens(self) -> int:
        return self.definition_tokens + self.result_tokens


_NAMES = tuple(field.name for field in fields(Cost))


class Waiting(NamedTuple):
    body: bytes
    at: float
    provider: str
    model: str
    usage: Usage


class ToolCosts:
    """Observer that finds out what tools cost: `ToolCosts(Prices())`; `save(store)` now and then."""

    def __init__(self, prices: Prices, *, size: int = 256) -> None:
        self._prices = prices
        self._bytes = 0
        self._lock = threading.Lock()
        self._unsaved: dict[Key, Cost] = {}
        self.queue: Background[Waiting] = Background(self._work, name="toolcost", size=size)

    def finished(self, call: Call) -> None:
        for record in call.records:
            if record.kind == "llm" and record.method in METHODS and record.usage and call.body:
                if self._bytes + len(call.body) > WAITING:
                    self.queue.dropped += 1
                    return
                self._bytes += len(call.body)
                model = record.upstream_model or record.model
                self.queue.put(Waiting(call.body, record.at, record.provider, model, record.usage))

    def _work(self, batch: list[Waiting]) -> None:
        for waiting in batch:
            self._bytes -= len(waiting.body)
            # Without tools nothing is to be laid at anybody's door, and no result can stand in the conversation.
            prompt = toolcost.read(waiting.body) if b'"tools"' in waiting.body else None
            if prompt is not None:
                self._add(prompt, waiting)

    def _add(self, prompt: toolcost.Prompt, waiting: Waiting) -> None:
        day = time.strftime("%Y-%m-%d", time.gmtime(waiting.at))
        costs: dict[str, Cost] = {name: Cost(requests=1) for name in prompt.defined}
        for name in prompt.called:
            costs.setdefault(name, Cost()).calls += 1
        for share in toolcost.shares(prompt, waiting.usage):
            cost = costs.setdefault(share.tool, Cost())
            cost.definition_tokens += share.definition.prompt
            cost.result_tokens += share.result.prompt
            cost.definition_usd += self._usd(share.definition, waiting)
            cost.result_usd += self._usd(share.result, waiting)
        self._keep({(day, *toolcost.split(name)): cost for name, cost in costs.items()})

    def _usd(self, usage: Usage, waiting: Waiting) -> float:
        return self._prices.estimate(usage, model=waiting.model, provider=waiting.provider)

    async def save(self, store: Documents) -> None:
        """Add what was found since the last time to the days' documents. What the store does not take waits."""
        await asyncio.to_thread(self.queue.flush)
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        try:
            for day in sorted({key[0] for key in unsaved}):
                await _merge(store, day, {key[1:]: unsaved[key] for key in unsaved if key[0] == day})
                unsaved = {key: cost for key, cost in unsaved.items() if key[0] != day}
        except StoreError as error:
            log.warning("tool costs wait for the store: %s", error)
        finally:
            self._keep(unsaved)

    def _keep(self, costs: Mapping[Key, Cost]) -> None:
        with self._lock:
            for key, cost in costs.items():
                self._unsaved.setdefault(key, Cost()).add(cost)

    def close(self) -> None:
        self.queue.close()


async def _merge(store: Documents, day: str, costs: Mapping[tuple[str, str], Cost]) -> None:
    """Several processes add to the same day: whoever comes second reads again."""
    while True:
        standing = await store.get(DOCUMENTS, day)
        tools = dict(standing.value["tools"]) if standing else {}
        for (server, tool), cost in costs.items():
            sum_ = _cost(tools.get(f"{server}/{tool}"))
            sum_.add(cost)
            tools[f"{server}/{tool}"] = [getattr(sum_, name) for name in _NAMES]
        version = standing.version if standing else 0
        if await store.put(DOCUMENTS, day, {"tools": tools}, expect=version):
            return


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
