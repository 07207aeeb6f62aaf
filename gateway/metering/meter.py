"""The usage policy: prices what became of an operation, labels it, and writes it to the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.metering.prices import Prices
from gateway.metering.record import Outcome, Record
from gateway.metering.spool import LINGER, Spool

if TYPE_CHECKING:
    from gateway.call import Call, Operation
    from gateway.refusals import Refusal
    from gateway.stores.protocols import Ledger

log = logging.getLogger("gateway.metering")
Label = Callable[["Call", "Operation"], Any]
UNKNOWN = "unknown"
LONGEST_LABEL = 256
LONGEST_RULE, MOST_FINDINGS = 200, 16
LONGEST = 2048  # characters of what callers and providers say: no call may be too long for the ledger
_NO_LABELS: Mapping[str, str] = {}


class UsageMeter:
    """`UsageMeter(ledger, labels={"team": lambda call, op: call.headers.get("x-team")})`

    `ledger` may be None: then records only stand on the call, for log, metrics and traces. `linger=0` writes each before
    the request ends.
    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        *,
        prices: Prices | None = None,
        labels: Mapping[str, Label] | None = None,
        linger: float = LINGER,
    ) -> None:
        self.prices = prices or Prices()
        self._labels = dict(labels or {})
        self._spool = None if ledger is None else Spool(ledger, linger=linger)
        self.at_once = self._spool is not None and self._spool.at_once

    @property
    def dropped(self) -> int:
        """Records that the ledger never took."""
        return self._spool.dropped if self._spool else 0

    def record(
        self,
        call: Call,
        op: Operation,
        outcome: Outcome,
        *,
        refusal: Refusal | None = None,
        duration_ms: float = 0.0,
        upstream_ms: float = 0.0,
        bytes_in: int = 0,
        bytes_out: int = 0,
    ) -> Record:
        if self._labels:
            self._label(call, op)
        usage, usd, priced = call.usage, 0.0, True
        if usage is not None and op.charged and op.kind == "llm":
            model, provider = call.upstream_model or op.model, call.provider
            usd, priced = self.prices.cost(usage, model=model, provider=provider)
        else:
            usage = None
        who, by, records = call.principal, call.attribution, call.records
        # By place, and thirty: names, or one more, would be passed as a dictionary or a tuple.
        record = Record(
            f"{call.id}.{len(records)}", call.id, call.at, op.kind, op.method, call.route, outcome, call.status,
            who.id, by.user or who.name, by.agent, by.project, who.groups, call.provider, op.model, call.upstream_model,
            op.server, op.name[:LONGEST] if op.subject == "tool" else "",
            op.exposed[:LONGEST] if op.exposed != op.name else "", "", (), priced,
            dict(call.labels) if call.labels else _NO_LABELS, by.session, usage, usd,
            (call.first_byte - call.started) / 1e6 if call.first_byte else 0.0, call.attempts, duration_ms, upstream_ms,
        )  # fmt: skip
        record.bytes_in, record.bytes_out = bytes_in, bytes_out
        if call.trace_id:
            record.trace_id, record.span_id = call.trace_id, call.span_id
        if call.verdicts or refusal is not None:
            _judged(record, call, refusal)
        if op.kind == "mcp":
            record.method, record.arguments = op.method[:LONGEST], op.arguments
            record.tool_use_id = op.tool_use_id[:LONGEST]
        elif call.tool_uses:
            record.tool_uses = tuple(call.tool_uses)
        records.append(record)
        if self._spool is not None and (op.charged or outcome != "ok" or record.findings):
            self._spool.put(record)
        return record

    def _label(self, call: Call, op: Operation) -> None:
        for name, label in self._labels.items():
            try:
                value = label(call, op)
            except Exception:
                value = None
            text = UNKNOWN if value is None or value == "" else str(value)[:LONGEST_LABEL]
            call.labels[name] = text

    def finished(self, call: Call) -> None:
        """As an observer of the outermost middleware: a call that was refused before anybody metered it gets its record too.

        Not those without an identity: whoever floods the gateway with bad credentials must not fill the ledger.
        """
        refusal, op = call.refusal, call.operation
        if refusal is None or op is None or call.records or refusal.kind == "authentication_error":
            return
        self.record(
            call,
            op,
            "refused" if refusal.policy else "error",
            refusal=refusal,
            duration_ms=(time.perf_counter_ns() - call.started) / 1e6,
            bytes_in=len(call.body or b""),
            bytes_out=call.bytes_out,
        )

    async def flush(self) -> None:
        """Everything recorded so far is in the ledger, or was given to it (before a Lambda freezes)."""
        if self._spool is not None:
            await self._spool.flush()

    async def close(self) -> None:
        if self._spool is not None:
            await self._spool.close()


class RouteMeters:
    """Observer of all routes' calls: each is for its own route's meter. `RouteMeters({"/": UsageMeter(store)})`."""

    def __init__(self, meters: Mapping[str, UsageMeter]) -> None:
        self._meters = meters

    def finished(self, call: Call) -> None:
        if call.refusal is not None and (meter := self._meters.get(call.route)) is not None:
            meter.finished(call)

    async def flush(self) -> None:
        for meter in dict.fromkeys(self._meters.values()):
            await meter.flush()


def _judged(record: Record, call: Call, refusal: Refusal | None) -> None:
    record.findings = _findings(call, record.outcome, refusal)
    if refusal is not None:
        record.policy, record.rule, record.reason = refusal.policy, refusal.rule, refusal.message[:LONGEST]
        record.status = refusal.status


def _findings(call: Call, outcome: Outcome, refusal: Refusal | None) -> tuple[str, ...]:
    """What policies said that no earlier operation of this call told. Where nothing was refused, what was kept out of a list is
    no finding."""
    found = dict.fromkeys(
        f"{said.policy} {said.action} {said.rule[:LONGEST_RULE]}"
        for said in call.verdicts
        if said.action != "allow" and (said.action != "refuse" or outcome == "refused")
    )
    if refusal is not None and refusal.policy:
        found.setdefault(f"{refusal.policy} refuse {refusal.rule[:LONGEST_RULE]}")
    told = {each for record in call.records for each in record.findings}
    return tuple(each for each in found if each not in told)[:MOST_FINDINGS]
