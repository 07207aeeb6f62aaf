"""Which calls become traces, and how the calls of one agent turn find each other."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Protocol

from gateway.call import Call
from gateway.metering.record import Record
from gateway.telemetry import outcomes, spans, w3c
from gateway.telemetry.background import Background
from gateway.telemetry.spans import Ended, Link, Masked, Span

REMEMBERED = 10_000  # tool uses that wait for their tool call
BODIES, LARGEST = 256, 262_144  # where prompts are wanted: calls that may wait, and bytes of one


class Exporter(Protocol):
    def send(self, spans: Iterable[Span]) -> None:
        """In the exporter's own thread; may take its time, may raise."""

    def close(self) -> None: ...


class Traces:
    """Observer that makes spans of finished calls and hands them to an exporter, outside the request.

    `Traces(OtlpSpans(), sample=0.1)`: one call in ten by its trace id, where the client's `traceparent` does not decide,
    and every call that failed, was refused, or would have been. `arguments=Masking()` adds tool arguments, `content=Masking()`
    prompts, both masked.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        sample: float = 1.0,
        arguments: Masked | None = None,
        content: Masked | None = None,
        size: int = 4096,
        now: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._exporter = exporter
        self._threshold = int(sample * (1 << 56))
        self._arguments = arguments
        self._content = content
        self._now = now
        self._uses: OrderedDict[str, Link] = OrderedDict()
        bound = size if content is None else min(size, BODIES)
        self.queue: Background[Ended] = Background(self._send, name="traces", size=bound)

    def begin(self, call: Call) -> None:
        """Join the client's trace, or begin one. For the access middleware, before anything else."""
        context = w3c.parse(call.headers.get("traceparent", ""))
        call.span_id = w3c.new_span_id()
        if context is None:
            call.trace_id = w3c.new_trace_id()
        else:
            call.trace_id, call.parent_span_id = context.trace_id, context.span_id

    def outgoing(self, call: Call, span_id: str = "") -> str:
        """The `traceparent` for an upstream: same trace, the operation's span as the parent."""
        return w3c.write(w3c.Context(call.trace_id, span_id or call.span_id, self._chosen(call)))

    def finished(self, call: Call) -> None:
        if not call.trace_id:
            self.begin(call)
        for use in call.tool_uses:
            self._remember(use, Link(call.trace_id, call.span_id))
        ended = self._now()
        records = outcomes.of(call, now=ended)
        if self._chosen(call) or any(map(outcomes.bad, records)) or outcomes.refused_in_part(call):
            self.queue.put(Ended.of(call, records, ended, self._links(records), body=self._body(call)))

    def _links(self, records: Sequence[Record]) -> tuple[Link, ...]:
        """To the model calls that asked for these tools."""
        uses = self._uses
        return tuple([uses[r.tool_use_id] for r in records if r.tool_use_id in uses]) if uses else ()

    def _body(self, call: Call) -> bytes | None:
        return call.body if self._content and call.body and len(call.body) <= LARGEST else None

    def close(self) -> None:
        self.queue.close()
        self._exporter.close()

    def _chosen(self, call: Call) -> bool:
        if call.parent_span_id:
            context = w3c.parse(call.headers.get("traceparent", ""))
            return context is not None and context.sampled
        return int(call.trace_id[-14:], 16) < self._threshold

    def _remember(self, use: str, link: Link) -> None:
        self._uses[use] = link
        if len(self._uses) > REMEMBERED:
            self._uses.popitem(last=False)

    def _send(self, batch: list[Ended]) -> None:
        found = (spans.of(ended, arguments=self._arguments, content=self._content) for ended in batch)
        self._exporter.send(chain.from_iterable(found))
