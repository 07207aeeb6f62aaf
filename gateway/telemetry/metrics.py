"""What the gateway counts. A finished call costs two rows; rows are added up many at once, at the latest at a scrape."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gateway.call import Call
from gateway.metering.record import Record
from gateway.telemetry import outcomes
from gateway.telemetry.registry import Exemplar, Histogram, Labels, Registry

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
# The buckets that the OpenTelemetry GenAI conventions ask for.
TOKENS = tuple(4.0**power for power in range(14))
FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")
OPERATIONS = {"messages": "chat", "chat": "chat", "responses": "chat", "generate": "generate_content"}
# What a limiter counts: which verb of the store failed, and what stood instead of its answer.
LIMITER = {
    "store_errors": ("take", "error"), "store_skipped": ("take", "skipped"), "settle_errors": ("settle", "error"),
    "failed_open": ("take", "open"), "failed_closed": ("take", "closed"),
}  # fmt: skip
TOKEN_TYPES = ("input", "output", "input_cache_read", "input_cache_write")
FAILED = frozenset(("timeout", "upstream_error"))  # whatever status the client was sent
TOGETHER = 256  # calls of one route, kind and status; then all that wait are counted
# Of a call: seconds, the gateway's own, bytes received and sent; of a model call: tokens in, out, read from and written to a
# cache, dollars, whether a price was known, seconds to the first byte and in all; of a tool's: seconds. Then trace and time.
_CallRow = tuple[float, float, int, int, str, float]
_ModelRow = tuple[int, int, int, int, float, bool, float, float, str, float]
_ToolRow = tuple[float, str, float]
_Model = tuple[str, str, str, str, Labels]  # method, provider, as asked, as sent, configured labels
STATUS = {status: str(status) for status in range(600)}


class Dropping(Protocol):
    dropped: int


class Metrics:
    """Observer that counts every finished call into a registry.

    `Metrics(labels=["team"], prefix="agentgateway")`: `labels` are those of the usage policy that become labels of the
    GenAI and tool metrics; `prefix` also shows the metrics under agentgateway's names.
    """

    def __init__(
        self,
        *,
        labels: Sequence[str] = (),
        prefix: str = "",
        exemplars: bool = True,
        registry: Registry | None = None,
        now: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.registry = registry or Registry()
        self._custom = tuple(labels)
        self._exemplars = exemplars
        self._now = now
        self._empty()
        self.registry.before.append(self.count)
        self._requests_families()
        self._gen_ai_families()
        self._mcp_families()
        self._policy_families()
        if prefix:
            self._second_names(prefix)

    def _empty(self) -> None:
        """Each finished call leaves a row with those of the same labels; they are counted together."""
        self._calls: defaultdict[tuple[str, str, int], list[_CallRow]] = defaultdict(list)
        self._models: defaultdict[_Model, list[_ModelRow]] = defaultdict(list)
        self._tools: defaultdict[tuple[Labels, str, Labels], list[_ToolRow]] = defaultdict(list)

    def _requests_families(self) -> None:
        new = self.registry
        self.requests = new.counter("gateway_requests_total", "Requests by route, kind of traffic and status sent.",
                                    "route", "kind", "status")  # fmt: skip
        self.duration = new.histogram("gateway_request_duration_seconds", "From the first byte received to the last sent.",
                                      "route", "kind", buckets=SECONDS)  # fmt: skip
        self.overhead = new.histogram("gateway_overhead_seconds", "The gateway's own time until the upstream's answer begins.",
                                      "route", "kind", buckets=OVERHEAD)  # fmt: skip
        self.bytes = new.counter(
            "gateway_bytes_total", "Bytes of bodies received and sent.", "route", "direction"
        )

    def _gen_ai_families(self) -> None:
        new, names = self.registry, (*GEN_AI, *self._custom)
        self.tokens = new.histogram("gen_ai_client_token_usage", "Tokens of one model call by type.",
                                    "gen_ai_token_type", *names, buckets=TOKENS)  # fmt: skip
        self.cost = new.counter("gen_ai_client_cost_usd_total", "Dollars spent on models.", *names)
        self.unpriced = new.counter("gateway_unpriced_calls_total", "Model calls without a price, charged at the ceiling.",
                                    "provider", "model")  # fmt: skip
        self.losses = new.counter("gateway_translation_losses_total", "Fields that a translation left out.",
                                  "from", "to", "field")  # fmt: skip
        self.failures = new.counter("gateway_provider_failures_total", "Model calls that a provider failed, begun streams too.",
                                    "provider", "outcome")  # fmt: skip
        self.disowned = new.counter("gateway_credential_refusals_total", "Providers that refused the gateway's credential.",
                                    "provider")  # fmt: skip
        self.first_token = new.histogram("gen_ai_server_time_to_first_token_seconds", "Until the model's first byte.",
                                         *names, buckets=FIRST_TOKEN)  # fmt: skip
        self.model_time = new.histogram("gen_ai_server_request_duration_seconds", "A model call from end to end.",
                                        *names, buckets=SECONDS)  # fmt: skip

    def _mcp_families(self) -> None:
        new = self.registry
        self.tools = new.counter("mcp_tool_calls_total", "Tool calls by server, tool and what came of them.",
                                 "server", "tool", "outcome", *self._custom)  # fmt: skip
        self.tool_time = new.histogram("mcp_tool_call_duration_seconds", "A tool call from end to end.",
                                       "server", "tool", buckets=SECONDS)  # fmt: skip
        self.auth_failures = new.counter("mcp_auth_failures_total", "Requests to MCP routes without a valid identity.",
                                         "route", "reason")  # fmt: skip

    def _policy_families(self) -> None:
        new = self.registry
        self.refusals = new.counter("gateway_refusals_total", "Operations refused, by policy and reason.",
                                    "policy", "reason")  # fmt: skip
        self.verdicts = new.counter("gateway_verdicts_total", "What policies said apart from `allow`.",
                                    "policy", "action", "rule")  # fmt: skip
        self.store_errors = new.counter("gateway_store_errors_total", "The store failed; what was decided without it.",
                                        "verb", "verdict")  # fmt: skip
        self.cache = new.counter("gateway_cache_lookups_total", "Questions whose answer was looked for among those kept.",
                                 "result")  # fmt: skip
        self.warnings = new.counter("gateway_budget_warnings_total", "Callers who came near the end of a budget.",
                                    "budget")  # fmt: skip
        self.dropped = new.counter("gateway_telemetry_dropped_total", "What was given up of spans, audit lines, bodies, and the ledger.",
                                   "signal")  # fmt: skip

    def _second_names(self, prefix: str) -> None:
        old = {"gen_ai_provider_name": "gen_ai_system"}
        for name, family, renamed in (
            ("requests_total", self.requests, {}),
            ("request_duration_seconds", self.duration, {}),
            ("request_processing_seconds", self.overhead, {}),
            ("gen_ai_client_token_usage", self.tokens, old),
            ("gen_ai_client_cost_usd_total", self.cost, old),
            ("gen_ai_server_time_to_first_token", self.first_token, old),
            ("gen_ai_server_request_duration", self.model_time, old),
            ("mcp_requests_total", self.tools, {"tool": "resource"}),
        ):
            self.registry.alias(f"{prefix}_{name}", family, renamed)

    def watch_limits(self, counters: Mapping[str, int]) -> None:
        """Show what a limiter counts: the store's failures, what was decided without it, and budgets near their end."""

        def grew(name: str, by: int) -> None:
            if name.startswith("warned:"):
                self.warnings.add((name.removeprefix("warned:"),), by)
            elif name in LIMITER:
                self.store_errors.add(LIMITER[name], by)

        self._watch(counters, grew)

    def watch_cache(self, counters: Mapping[str, int]) -> None:
        """Show what a cache of answers counts: hits and misses, and the store's failures."""

        def grew(name: str, by: int) -> None:
            if name in ("hit", "miss"):
                self.cache.add((name,), by)
            else:
                self.store_errors.add((name, "error"), by)

        self._watch(counters, grew)

    def _watch(self, counters: Mapping[str, int], grew: Callable[[str, int], None]) -> None:
        last: dict[str, int] = {}

        def take_over() -> None:
            for name, count in list(counters.items()):
                by, last[name] = count - last.get(name, 0), count
                grew(name, by)

        self.registry.before.append(take_over)

    def watch_drops(self, signal: str, queue: Dropping) -> None:
        """Show what a queue had to give up; several of one signal are added up."""
        last = 0

        def take_over() -> None:
            nonlocal last
            grown, last = queue.dropped - last, queue.dropped
            self.dropped.add((signal,), grown)

        self.registry.before.append(take_over)

    def finished(self, call: Call) -> None:
        now, started, body = self._now(), call.started, call.body
        found = call.records or outcomes.of(call, now=now)
        # What the gateway itself took: up to the first byte of an answer that streams, else of the whole call.
        own = (call.answered or now) - started - call.upstream_ns
        row = ((now - started) / 1e9, own / 1e9 if own > 0 else 0.0, len(body) if body else 0, call.bytes_out,
               call.trace_id, call.at)  # fmt: skip
        rows = self._calls[call.route or "none", found[0].kind, call.status]
        rows.append(row)
        for record in found:
            self._record(record, call)
        if call.losses or call.disowned or call.verdicts:
            self._said(call)
        if len(rows) == TOGETHER:
            self.count()

    def _record(self, record: Record, call: Call) -> None:
        usage, seconds = record.usage, record.duration_ms / 1e3
        labels = tuple([record.labels.get(name, "unknown") for name in self._custom]) if self._custom else ()
        if record.outcome == "refused":
            self._refused(record, call)
        elif record.outcome in FAILED and record.provider:
            self.failures.add((record.provider, record.outcome))
        if record.kind == "mcp" and record.tool:
            # A name that no server has is the caller's invention, and must not become a series.
            tool = (record.server, record.tool) if record.server else ("unknown", "unknown")
            self._tools[tool, record.outcome, labels].append((seconds, call.trace_id, call.at))
        elif usage is not None:
            read, written = usage.cache_read, usage.cache_write + usage.cache_write_1h
            row = (usage.input + read + written, usage.output, read, written, record.usd, record.priced,
                   record.first_byte_ms / 1e3, seconds, call.trace_id, call.at)  # fmt: skip
            names = (record.method, record.provider, record.model, record.upstream_model, labels)
            self._models[names].append(row)

    def _said(self, call: Call) -> None:
        for lost in call.losses:
            self.losses.add((call.dialect, call.wire, lost))
        for provider in call.disowned:
            self.disowned.add((provider,))
        for verdict in call.verdicts:
            if verdict.action != "allow":
                self.verdicts.add((verdict.policy, verdict.action, verdict.rule))

    def _refused(self, record: Record, call: Call) -> None:
        # The rule stands in the configuration; the reason is a sentence that may quote the caller.
        self.refusals.add((record.policy, record.rule or _kind(call)))
        if record.policy == "auth" and call.dialect == "mcp":
            self.auth_failures.add((call.route or "none", _kind(call)))

    def count(self) -> None:
        """Add up the rows that wait: column by column, for all that have the same labels."""
        calls, models, tools = self._calls, self._models, self._tools
        self._empty()
        for (route, kind, status), rows in calls.items():
            seconds, own, came, went, traces, at = zip(*rows, strict=True)
            self.requests.add((route, kind, STATUS.get(status, "0")), len(rows))
            self._timed(self.duration, (route, kind), seconds, traces, at)
            self.overhead.observe((route, kind), own)
            self.bytes.add((route, "in"), sum(came))
            self.bytes.add((route, "out"), sum(went))
        for (method, provider, asked, sent, custom), usages in models.items():
            names = (OPERATIONS.get(method, method), provider, asked, sent or asked, *custom)
            self._count_model(names, usages)
        for (tool, outcome, labels), uses in tools.items():
            self.tools.add((*tool, outcome, *labels), len(uses))
            self._timed(self.tool_time, tool, *zip(*uses, strict=True))

    def _count_model(self, names: Labels, rows: list[_ModelRow]) -> None:
        *tokens, usd, priced, first, seconds, traces, at = zip(*rows, strict=True)
        for kind, amounts in zip(TOKEN_TYPES, tokens, strict=True):
            self.tokens.observe((kind, *names), filter(None, amounts))
        self.cost.add(names, sum(usd))
        if unpriced := priced.count(False):
            self.unpriced.add((names[1], names[3]), unpriced)
        self.first_token.observe(names, filter(None, first))
        self._timed(self.model_time, names, seconds, traces, at)

    def _timed(
        self,
        family: Histogram,
        labels: Labels,
        seconds: Sequence[float],
        traces: Sequence[str],
        at: Sequence[float],
    ) -> None:
        family.observe(labels, seconds)
        if self._exemplars and any(traces):
            family.exemplify(labels, map(Exemplar, seconds, traces, at))


def _kind(call: Call) -> str:
    return call.refusal.kind if call.refusal is not None else "other"
