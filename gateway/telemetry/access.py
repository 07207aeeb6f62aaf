"""The access log: one line for every request, as JSON for machines or as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.call import Call, Verdict
from gateway.metering.record import Outcome, Record
from gateway.refusals import Refusal

LOSSES = 32  # named in one line; the metric counts all


class Done(msgspec.Struct, omit_defaults=True, gc=False):
    """One operation in a line."""

    kind: str
    method: str
    outcome: Outcome
    model: str = ""
    upstream_model: str = ""
    provider: str = ""
    server: str = ""
    tool: str = ""
    tool_use_id: str = ""
    input: int | None = None  # tokens; None where no model was asked
    output: int | None = None
    usd: float | None = None


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """One request: names only, never a header, a body or a credential."""

    at: float
    id: str
    verb: str
    path: str
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    ip: str
    principal: str
    user: str = ""
    agent: str = ""
    project: str = ""
    session: str = ""
    unverified: Sequence[str] = ()
    labels: Mapping[str, str] = {}
    trace: str = ""
    operations: Sequence[Done] = ()
    refusal: Mapping[str, str] | None = None
    losses: Sequence[str] = ()
    verdicts: Sequence[str] = ()


class Lines(Protocol):
    def write(self, line: Line) -> None: ...


class AccessLog:
    """An observer that writes one line a request: who, what, with which outcome, at what cost.

    `AccessLog(LineWriter(1))`.
    """

    def __init__(self, lines: Lines, *, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.lines = lines
        self.now = now

    def finished(self, call: Call) -> None:
        who, body = call.attribution, call.body
        ms = (self.now() - call.started) // 10_000 / 100
        # By place: names cost more, and more than fifteen would be passed as a dictionary.
        line = Line(
            int(call.at * 1000) / 1000, call.id, call.verb, call.path, call.status, ms, len(body) if body else 0,
            call.bytes_out, call.ip, call.principal.id, who.user, who.agent, who.project, who.session,
            sorted(who.unverified) if who.unverified else (), call.labels, call.trace_id, _done(call.records),
        )  # fmt: skip
        if call.refusal is not None:
            line.refusal = _refused(call.refusal)
        if call.losses:
            line.losses = sorted(set(call.losses))[:LOSSES]
        if call.verdicts:
            line.verdicts = [_said(verdict) for verdict in call.verdicts if verdict.action != "allow"]
        self.lines.write(line)


def _done(records: Sequence[Record]) -> list[Done]:
    done = []
    for each in records:
        usage, input, output, usd = each.usage, None, None, None
        if usage is not None:
            input, output, usd = usage.prompt, usage.output, int(each.usd * 1e8 + 0.5) / 1e8
        done.append(Done(each.kind, each.method, each.outcome, each.model, each.upstream_model, each.provider,
                         each.server, each.tool, each.tool_use_id, input, output, usd))  # fmt: skip
    return done


def _refused(refusal: Refusal) -> Mapping[str, str]:
    return {"policy": refusal.policy, "kind": refusal.kind, "rule": refusal.rule}


def _said(verdict: Verdict) -> str:
    return f"{verdict.policy}:{verdict.action}:{verdict.rule or verdict.reason}"


class TextLines:
    """Lines for people: `12:03:04 200 POST /v1/messages 12.3 ms key:demo claude-demo 25→7 tokens $0.0001`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def write(self, line: Line) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(line.at))
        words = [clock, str(line.status), line.verb, line.path, f"{line.ms:.1f} ms", line.principal]
        words += map(_told, line.operations)
        if line.refusal:
            policy = line.refusal["policy"]
            words.append(f"refused by {policy}" if policy else line.refusal["kind"])
        self._write(printable(" ".join(words)) + "\n")


def _told(done: Done) -> str:
    name = done.model or "/".join(filter(None, (done.server, done.tool))) or done.method
    return name if done.usd is None else f"{name} {done.input}→{done.output} tokens ${done.usd:.4f}"


def printable(text: str) -> str:
    """Nothing that moves a reader's cursor or forges a line."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
