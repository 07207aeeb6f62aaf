"""What policies refused, masked or noted, in all processes: fifty like calls are one row.

The ledger says what was found and how often; this process' memory adds the newest words and calls where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from gateway.admin.request import Request
from gateway.metering.record import Record
from gateway.stores.protocols import Ledger
from gateway.telemetry.recent import Recent, Seen

BY: Final = ("findings", "server", "tool", "model", "day")
EXAMPLES: Final = 5
Kind = tuple[str, str, str, str]  # policy, action, rule, subject


@dataclass(slots=True)
class Finding:
    kind: Kind
    together: str  # with what else it was found: the ledger's group, to look for its calls
    count: int = 0
    first: str = ""  # days
    last: str = ""
    reason: str = ""  # of the newest that this process saw, as the calls and who made them
    users: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        policy, action, rule, subject = self.kind
        return {
            "policy": policy, "action": action, "rule": rule, "subject": subject, "findings": self.together,
            "count": self.count, "first": self.first, "last": self.last, "users": sorted(self.users),
            "reason": self.reason, "calls": self.calls,
        }  # fmt: skip


class Findings:
    def __init__(self, store: Ledger, recent: Recent) -> None:
        self._store = store
        self._recent = recent

    async def findings(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        totals = await self._store.usage(since=since, until=until, by=BY, where=request.where())
        found: dict[Kind, Finding] = {}
        for total in totals:
            together, server, tool, model, day = total.group
            for text in together.split("\n") if together else ():
                policy, action, rule = text.split(" ", 2)
                kind = (policy, action, rule, _subject(server, tool, model))
                one = found.setdefault(kind, Finding(kind, together))
                one.count += total.calls
                one.first, one.last = min(one.first or day, day), max(one.last, day)
        for seen in reversed(self._recent.calls):
            if since <= seen.at < until:
                _remember(found, seen)
        return {"findings": [one.shown() for one in sorted(found.values(), key=_order)]}


def _order(one: Finding) -> tuple[Any, ...]:
    return (-int(one.last.replace("-", "")), -one.count, one.kind)


def _remember(found: dict[Kind, Finding], seen: Seen) -> None:
    for record in seen.records:
        for verdict in seen.verdicts:
            one = found.get((verdict.policy, verdict.action, verdict.rule, _of(record)))
            if one is not None and len(one.calls) < EXAMPLES and seen.id not in one.calls:
                one.reason = one.reason or verdict.reason
                one.users.add(record.user or record.principal)
                one.calls.append(seen.id)


def _of(record: Record) -> str:
    return _subject(record.server, record.tool, record.model or record.upstream_model)


def _subject(server: str, tool: str, model: str) -> str:
    return f"{server}/{tool}" if tool else model
