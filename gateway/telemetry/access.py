"""The access log: one line for every request, as JSON for machines or as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Protocol

from gateway.call import Call
from gateway.metering.record import Record

LOSSES = 32  # named in one line; the metric counts all


class Lines(Protocol):
    def write(self, line: Mapping[str, Any]) -> None: ...


class AccessLog:
    """An observer that writes one line a request: who, what, with which outcome, at what cost.

    `AccessLog(LineWriter(1))`. Names only: never a header, a body or a credential.
    """

    def __init__(self, lines: Lines, *, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.lines = lines
        self.now = now

    def finished(self, call: Call) -> None:
        line: dict[str, Any] = {
            "at": round(call.at, 3),
            "id": call.id,
            "verb": call.verb,
            "path": call.path,
            "status": call.status,
            "ms": round((self.now() - call.started) / 1e6, 2),
            "bytes_in": len(call.body or b""),
            "bytes_out": call.bytes_out,
            "ip": call.ip,
            "principal": call.principal.id,
        }
        _attributed(line, call)
        if call.records:
            line["operations"] = [_operation(record) for record in call.records]
        if call.refusal is not None:
            line["refusal"] = {
                "policy": call.refusal.policy,
                "kind": call.refusal.kind,
                "rule": call.refusal.rule,
            }
        if call.losses:
            line["losses"] = sorted(set(call.losses))[:LOSSES]
        if noted := [v for v in call.verdicts if v.action != "allow"]:
            line["verdicts"] = [f"{v.policy}:{v.action}:{v.rule or v.reason}" for v in noted]
        self.lines.write(line)


_WHO = ("user", "agent", "project", "session")
_who = attrgetter(*_WHO)


def _attributed(line: dict[str, Any], call: Call) -> None:
    who = call.attribution
    line |= {name: value for name, value in zip(_WHO, _who(who), strict=True) if value}
    if who.unverified:
        line["unverified"] = sorted(who.unverified)
    if call.labels:
        line["labels"] = call.labels
    if call.trace_id:
        line["trace"] = call.trace_id


_COPIED = (
    "kind",
    "method",
    "outcome",
    "model",
    "upstream_model",
    "provider",
    "server",
    "tool",
    "tool_use_id",
)


_copied = attrgetter(*_COPIED)


def _operation(record: Record) -> dict[str, Any]:
    out: dict[str, Any] = {name: value for name, value in zip(_COPIED, _copied(record), strict=True) if value}
    if record.usage is not None:
        out |= {"input": record.usage.prompt, "output": record.usage.output, "usd": round(record.usd, 8)}
    return out


class TextLines:
    """Lines for people: `12:03:04 200 POST /v1/messages 12.3 ms key:demo claude-demo 25→7 tokens $0.0001`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def write(self, line: Mapping[str, Any]) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(line["at"]))
        words = [
            clock,
            str(line["status"]),
            line["verb"],
            line["path"],
            f"{line['ms']:.1f} ms",
            line["principal"],
        ]
        words += [_told(operation) for operation in line.get("operations", ())]
        if refusal := line.get("refusal"):
            words.append(f"refused by {refusal['policy']}" if refusal["policy"] else refusal["kind"])
        self._write(printable(" ".join(words)) + "\n")


def _told(operation: Mapping[str, Any]) -> str:
    name = operation.get("model") or "/".join(filter(None, (operation.get("server"), operation.get("tool"))))
    cost = (
        f" {operation['input']}→{operation['output']} tokens ${operation['usd']:.4f}"
        if "input" in operation
        else ""
    )
    return f"{name or operation['method']}{cost}"


def printable(text: str) -> str:
    """Nothing that moves a reader's cursor or forges a line."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
