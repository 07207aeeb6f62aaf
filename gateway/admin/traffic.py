"""Traffic as the page shows it: what was used over time, how fast it was, and each call from client to upstream and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import chain, islice
from operator import add, sub
from typing import Any, Final

import orjson
from msgspec import structs

from gateway.admin.request import DAY, Request, missing
from gateway.call import Verdict
from gateway.metering.record import Record
from gateway.stores import rows
from gateway.stores.protocols import GROUPS, Ledger, Total
from gateway.telemetry.masking import Masking
from gateway.telemetry.recent import Recent, Seen

SAMPLE: Final = 2000  # the newest calls that percentiles are taken of
SERIES: Final = 8  # in one chart; the rest is `other`
MANY: Final = 120  # groups: so many are told apart day by day at once
STEPS: Final = (60, 300, 900, 3600, 6 * 3600)
# Request headers that may be shown: none of them carries a credential.
SHOWN: Final = frozenset({
    "accept", "accept-encoding", "anthropic-beta", "anthropic-version", "content-length", "content-type", "host",
    "mcp-protocol-version", "mcp-method", "mcp-name", "traceparent", "user-agent", "x-app", "x-claude-code-session-id",
    "x-claude-code-agent-id", "x-stainless-lang", "x-stainless-package-version", "x-stainless-retry-count",
})  # fmt: skip


Timed = tuple[Any, str, Total]  # an edge, a group, what it used from there on


class Traffic:
    def __init__(self, store: Ledger, recent: Recent, masking: Masking, *, live: bool = True) -> None:
        self._store = store
        self._live = live
        self._recent = recent
        self._masking = masking

    async def overview(self, request: Request) -> dict[str, Any]:
        """Totals, the dearest groups, refusals by policy, and one series a group over time."""
        since, until = request.window()
        by, where = request.query.get("by", "model"), request.where()
        (groups, timed, edges, step), judged, nameless = await asyncio.gather(
            self._timed(since, until, by, where),
            self._store.usage(since=since, until=until, by=("outcome", "policy"), where=where),
            self._store.usage(since=since, until=until, where={**where, "user": ""}),
        )
        whole = merged(((), total) for total in groups) or [Total(())]
        refused = [(total.group[1:], total) for total in judged if total.group[0] == "refused"]
        labels = {name for seen in islice(reversed(self._recent.calls), 200) for r in seen.records for name in r.labels}  # fmt: skip
        return {
            "since": since, "until": until, "by": by, "labels": [f"label.{name}" for name in sorted(labels)],
            "total": sums(whole[0]), "groups": [sums(group) for group in groups[:200]],
            "refusals": [sums(group) for group in merged(refused)],
            "outcomes": [sums(group) for group in merged((total.group[:1], total) for total in judged)],
            "unattributed": sums(nameless[0]) if nameless else None,
            "series": _stacked(edges, timed, [group.group[0] for group in groups[:SERIES]], step=step),
        }  # fmt: skip

    async def _timed(
        self, since: float, until: float, by: str, where: Mapping[str, str]
    ) -> tuple[Sequence[Total], list[Timed], Sequence[Any], float]:
        """What each group used, and what at each edge; the edges; and how far apart they are."""
        if until - since > 3 * DAY:
            groups, timed = await self._daily(since, until, by, where)
            days = [rows.day(since + n * DAY) for n in range(int((until - since) // DAY) + 2)]
            return groups, timed, [day for day in dict.fromkeys(days) if day <= rows.day(until)], DAY
        step = next(step for step in STEPS if (until - since) / step <= 60)
        first = since // step * step
        edges = [first + n * step for n in range(int((until - first) // step) + 1)]
        found: list[Timed] = []
        for edge in edges:
            totals = await self._store.usage(
                since=max(edge, since), until=min(edge + step, until), by=(by,), where=where
            )
            found += [(edge, total.group[0], total) for total in totals]
        return merged(((name,), total) for _, name, total in found), found, edges, step

    async def _daily(
        self, since: float, until: float, by: str, where: Mapping[str, str]
    ) -> tuple[Sequence[Total], list[Timed]]:
        """Of many groups only those that have a line are told apart day by day."""

        async def asked(*groups: str, **only: str) -> Sequence[Total]:
            return await self._store.usage(since=since, until=until, by=groups, where={**where, **only})

        groups = await asked(by)
        if where or by not in GROUPS or len(groups) <= MANY:
            return groups, [(*total.group, total) for total in await asked("day", by)]  # type: ignore[misc]
        names = [group.group[0] for group in groups[:SERIES]]
        every, *lines = await asyncio.gather(asked("day"), *(asked("day", **{by: name}) for name in names))
        found = [
            (total.group[0], name, total) for name, line in zip(names, lines, strict=True) for total in line
        ]
        return groups, [*found, *((total.group[0], "other", total) for total in _rest(every, chain(*lines)))]

    async def latency(self, request: Request) -> dict[str, Any]:
        """Percentiles of the newest calls, by model and by tool."""
        since, until = request.window()
        records = await self._store.records(
            since=since, until=until, where=request.where(), limit=int(min(request.number("sample", SAMPLE), 5000))
        )  # fmt: skip
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            name = f"{record.server}/{record.tool}" if record.tool else record.model or record.method
            groups.setdefault((record.kind, name), []).append(record)
        found = [_latency(kind, name, group) for (kind, name), group in groups.items()]
        return {
            "sampled": len(records),
            "all": _latency("", "", records),
            "groups": sorted(found, key=lambda g: -g["calls"])[:100],
        }

    async def calls(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        limit = int(min(request.number("limit", 100), 500))
        found = await self._store.records(
            since=since,
            until=until,
            where=request.where(),
            before=request.query.get("before", ""),
            limit=limit,
        )
        next_ = rows.position(found[-1]) if len(found) == limit else ""
        return {"calls": [shown(record) for record in found], "next": next_}

    async def call(self, request: Request) -> dict[str, Any]:
        seen = self._recent.find(request.name)
        if seen is None:
            raise missing("call of that id among the newest of this process")
        return {**_whole(seen), "content": self._recent.content, "body": self._body(seen)}

    def _body(self, seen: Seen) -> Any:
        """The request's body where content is switched on, masked as the audit masks."""
        try:
            return self._masking(orjson.loads(seen.body)) if seen.body else None
        except orjson.JSONDecodeError:
            return None

    async def tail(self, request: Request) -> AsyncIterator[bytes]:
        """The newest calls as they end, as server-sent events. Where no answer may last (Lambda), what is new, and an end:
        the browser asks again."""
        number = self._last_seen(request)
        yield b"retry: 2000\n\n"
        while True:
            fresh = list(self._recent.after(number))
            for seen in fresh:
                number = seen.number
                yield b"id: %d\ndata: %b\n\n" % (number, orjson.dumps(line(seen)))
            if not self._live:
                return
            if not fresh:
                yield b": nothing new\n\n"
            await asyncio.sleep(0.5)

    def _last_seen(self, request: Request) -> int:
        """What the browser has already; another process counted where the number is beyond ours."""
        said = request.headers.get("last-event-id") or request.query.get("after", "")
        if said.isdigit() and int(said) <= self._recent.count:
            return int(said)
        return max(0, self._recent.count - 50)


def _rest(every: Iterable[Total], lines: Iterable[Total]) -> list[Total]:
    """What is left of each day beside these lines."""
    left: dict[tuple[str, ...], Sequence[float]] = {
        total.group: structs.astuple(total)[1:] for total in every
    }
    for line in lines:
        if line.group in left:
            left[line.group] = tuple(map(sub, left[line.group], structs.astuple(line)[1:]))
    return [Total(day, *figures) for day, figures in left.items()]  # type: ignore[arg-type]


def sums(total: Total) -> dict[str, Any]:
    return {**structs.asdict(total), "tokens": total.tokens}


def merged(found: Iterable[tuple[tuple[str, ...], Total]]) -> list[Total]:
    """One total a group, the dearest first."""
    cells: dict[tuple[str, ...], Sequence[float]] = {}
    for group, total in found:
        figures, cell = structs.astuple(total)[1:], cells.get(group)
        cells[group] = figures if cell is None else tuple(map(add, cell, figures))
    totals = [Total(group, *cell) for group, cell in cells.items()]  # type: ignore[arg-type]
    return sorted(totals, key=lambda total: (-total.usd, -total.tokens, -total.calls))


def _stacked(
    edges: Sequence[Any], found: Iterable[Timed], names: Sequence[str], *, step: float
) -> dict[str, Any]:
    """One line a group: dollars, tokens and calls at every edge."""
    place = {edge: index for index, edge in enumerate(edges)}
    lines: dict[str, dict[str, list[float]]] = {}
    for edge, name, total in found:
        name = name if name in names else "other"
        line = lines.get(name)
        if line is None:
            line = lines[name] = {unit: [0.0] * len(edges) for unit in ("usd", "tokens", "calls")}
        at = place.get(edge)
        if at is not None:
            line["usd"][at] += total.usd
            line["tokens"][at] += total.tokens
            line["calls"][at] += total.calls
    ordered = sorted(lines, key=lambda name: (name == "other", -sum(lines[name]["calls"])))
    return {"step": step, "at": list(edges), "lines": [{"name": name, **lines[name]} for name in ordered]}


def _latency(kind: str, name: str, records: Sequence[Record]) -> dict[str, Any]:
    overhead = [
        max(0.0, (r.first_byte_ms or r.duration_ms) - r.upstream_ms) for r in records if r.upstream_ms
    ]
    return {
        "kind": kind, "name": name, "calls": len(records),
        "failed": sum(r.outcome not in ("ok", "refused", "client_gone") for r in records),
        "refused": sum(r.outcome == "refused" for r in records),
        "duration": percentiles([r.duration_ms for r in records]),
        "first_byte": percentiles([r.first_byte_ms for r in records if r.first_byte_ms]),
        "overhead": percentiles(overhead),
    }  # fmt: skip


def percentiles(values: Sequence[float]) -> list[float]:
    """p50, p95 and p99; empty where there is nothing."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99)] if ordered else []  # fmt: skip


def shown(record: Record) -> dict[str, Any]:
    found = structs.asdict(record)
    del found["arguments"]
    return {**found, "usage": None if record.usage is None else structs.asdict(record.usage)}


def line(seen: Seen) -> dict[str, Any]:
    record = seen.records[0]
    return {
        "number": seen.number, "id": seen.id, "at": seen.at, "path": seen.path, "status": seen.status,
        "ms": (seen.ended - seen.started) / 1e6, "kind": record.kind, "method": record.method,
        "user": record.user or record.principal, "model": record.model, "server": record.server, "tool": record.tool,
        "outcome": record.outcome, "policy": record.policy, "rule": record.rule,
        "tokens": sum(r.usage.total for r in seen.records if r.usage), "usd": sum(r.usd for r in seen.records),
        "verdicts": [said(v) for v in seen.verdicts if v.action != "allow"],
    }  # fmt: skip


def said(verdict: Verdict) -> dict[str, str]:
    return {
        "policy": verdict.policy,
        "action": verdict.action,
        "rule": verdict.rule,
        "reason": verdict.reason,
    }


def _whole(seen: Seen) -> dict[str, Any]:
    def ms(instant: int) -> float:
        return round((instant - seen.started) / 1e6, 3)

    phases = [{"name": p.name, "from": ms(p.started), "to": ms(p.ended), "detail": p.detail} for p in seen.phases]  # fmt: skip
    return {
        **line(seen), "verb": seen.verb, "route": seen.route, "dialect": seen.dialect, "ip": seen.ip,
        "headers": {name: value for name, value in seen.headers.items() if name in SHOWN},
        "hidden_headers": sorted(set(seen.headers) - SHOWN),
        "principal": {"id": seen.principal.id, "kind": seen.principal.kind, "name": seen.principal.name,
                      "groups": list(seen.principal.groups)},
        "records": [shown(record) for record in seen.records],
        "all_verdicts": [said(verdict) for verdict in seen.verdicts],
        "phases": sorted(phases, key=lambda phase: phase["from"]),
        "first_byte": ms(seen.first_byte) if seen.first_byte else None, "upstream_ms": seen.upstream_ns / 1e6,
        "refusal": seen.refusal.message if seen.refusal else "", "trace_id": seen.trace_id,
    }  # fmt: skip
