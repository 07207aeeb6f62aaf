"""What a finished call amounts to: its records, or one made from the call where no usage policy wrote any."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.call import Call, Kind, Operation
from gateway.metering.record import Outcome, Record, outcome_of


def of(call: Call, *, now: int | None = None) -> Sequence[Record]:
    """One record for each operation of the call; never none."""
    return call.records or [_made(call, now or time.perf_counter_ns())]


def bad(record: Record) -> bool:
    return record.outcome not in ("ok", "client_gone")


def refused_in_part(call: Call) -> bool:
    """A policy would have refused, or refused one operation of a batch: worth keeping even when the answer was 200."""
    return any(verdict.action in ("refuse", "would_refuse") for verdict in call.verdicts)


def _made(call: Call, now: int) -> Record:
    op = call.operation or Operation(_kind(call), "")
    refusal = call.refusal
    return Record(
        id=call.id, call=call.id, at=call.at, kind=op.kind, method=op.method, route=call.route,
        outcome=_outcome(call), status=call.status,
        principal=call.principal.id, groups=call.principal.groups,
        user=call.attribution.user or call.principal.name, agent=call.attribution.agent,
        project=call.attribution.project, session=call.attribution.session,
        provider=call.provider, model=op.model, upstream_model=call.upstream_model,
        server=op.server, tool=op.name if op.subject == "tool" else "", exposed=op.exposed,
        tool_use_id=op.tool_use_id, usage=call.usage,
        policy=refusal.policy if refusal else "", rule=refusal.rule if refusal else "",
        reason=refusal.kind if refusal else "",
        duration_ms=(now - call.started) / 1e6, upstream_ms=call.upstream_ns / 1e6,
        bytes_in=len(call.body or b""), bytes_out=call.bytes_out, attempts=call.attempts, labels=call.labels,
        trace_id=call.trace_id, span_id=call.span_id,
    )  # fmt: skip


def _kind(call: Call) -> Kind:
    return "http" if call.dialect == "http" else "mcp" if call.dialect == "mcp" else "llm"


def _outcome(call: Call) -> Outcome:
    refusal = call.refusal
    if refusal is not None and (refusal.policy or call.attempts):
        return outcome_of(refusal.status, policy=refusal.policy)
    if call.status == 499:
        return "client_gone"
    if call.status == 504:
        return "timeout"
    if call.status in (502, 503, 529):
        return "upstream_error"
    return "ok" if 0 < call.status < 400 else "error"
