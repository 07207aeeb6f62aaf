"""The newest calls of this process, as they were: for the page's live tail and its request inspector."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from gateway.call import Call, Operation, Phase, Principal, Verdict
from gateway.metering.record import Record
from gateway.refusals import Refusal
from gateway.telemetry import outcomes
from gateway.types import Dialect


class Seen(Struct, frozen=True, gc=False):
    """One finished call; its body is kept only where content is switched on."""

    number: int
    id: str
    at: float
    started: int
    ended: int
    verb: str
    path: str
    query: str
    route: str
    dialect: Dialect
    ip: str
    status: int
    headers: Mapping[str, str]
    principal: Principal
    operation: Operation | None
    records: Sequence[Record]
    verdicts: Sequence[Verdict]
    phases: Sequence[Phase]
    refusal: Refusal | None
    tool_uses: Sequence[str]
    first_byte: int
    upstream_ns: int
    trace_id: str
    body: bytes | None


class Recent:
    """Observer that keeps the newest calls: `Recent(keep=2000)`. `content` keeps their bodies, up to 256 KB each."""

    def __init__(
        self, *, keep: int = 2000, content: bool = False, now: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self.calls: deque[Seen] = deque(maxlen=keep)
        self.count = 0
        self.content = content
        self._now = now

    def finished(self, call: Call) -> None:
        if call.dialect == "http" and call.refusal is None and not call.records:
            return  # health checks and the like
        self.count += 1
        ended = self._now()
        body = call.body if self.content and call.body and len(call.body) <= 262_144 else None
        seen = Seen(
            self.count, call.id, call.at, call.started, ended, call.verb, call.path, call.query, call.route,
            call.dialect, call.ip, call.status, call.headers, call.principal, call.operation,
            outcomes.of(call, now=ended), call.verdicts, call.phases, call.refusal, call.tool_uses, call.first_byte,
            call.upstream_ns, call.trace_id, body,
        )  # fmt: skip
        self.calls.append(seen)

    def after(self, number: int) -> Iterator[Seen]:
        """Those that came after the one with this number, the oldest first."""
        first = self.calls[0].number if self.calls else 0
        for index in range(max(0, number + 1 - first), len(self.calls)):
            yield self.calls[index]

    def find(self, id: str) -> Seen | None:
        return next((seen for seen in reversed(self.calls) if seen.id == id), None)
