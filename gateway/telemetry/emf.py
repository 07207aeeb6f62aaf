"""CloudWatch embedded metrics: lines in the log that CloudWatch turns into metrics, for Lambda, where nobody can scrape.

One line for each operation, one dimension set for each kind of traffic. Each distinct set of dimension values is a metric that
costs money, so there are few, and none that a caller invents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gateway.call import Call
from gateway.metering.record import Record
from gateway.telemetry import outcomes

NAMESPACE: Final = "gateway"
_COMMON: Final = (("gateway_requests", "Count"), ("gateway_request_duration_seconds", "Seconds"), ("gateway_refusals", "Count"),
                  ("gateway_errors", "Count"))  # fmt: skip
_MODEL: Final = (("gen_ai_client_input_tokens", "Count"), ("gen_ai_client_output_tokens", "Count"),
                 ("gen_ai_client_cost_usd", "None"), ("gen_ai_server_time_to_first_token_seconds", "Seconds"))  # fmt: skip
_TOOL: Final = (("mcp_tool_calls", "Count"), ("mcp_tool_call_duration_seconds", "Seconds"))


class Lines(Protocol):
    def write(self, line: Mapping[str, Any]) -> None: ...


class EmbeddedMetrics:
    """Observer that writes metrics into the log: `EmbeddedMetrics(LineWriter(1))`."""

    def __init__(self, lines: Lines, *, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self._lines = lines
        self._now = now

    def finished(self, call: Call) -> None:
        now = self._now()
        for record in outcomes.of(call, now=now):
            if record.kind != "http":
                self._lines.write(_line(record, call, (now - call.started) / 1e9))


def _line(record: Record, call: Call, seconds: float) -> dict[str, Any]:
    names = [*_COMMON]
    found: dict[str, Any] = {
        "route": record.route or "none", "gateway_requests": 1, "gateway_request_duration_seconds": seconds,
        "gateway_refusals": int(record.outcome == "refused"),
        "gateway_errors": int(record.outcome in ("timeout", "upstream_error", "error")),
    }  # fmt: skip
    dimensions = [["route"]]
    if record.usage is not None:
        names += _MODEL if record.first_byte_ms else _MODEL[:-1]
        dimensions.append(["provider", "model"])
        found |= {
            "provider": record.provider or "none", "model": record.upstream_model or record.model,
            "gen_ai_client_input_tokens": record.usage.prompt, "gen_ai_client_output_tokens": record.usage.output,
            "gen_ai_client_cost_usd": record.usd,
            "gen_ai_server_time_to_first_token_seconds": record.first_byte_ms / 1e3,
        }  # fmt: skip
    elif record.tool and record.server:
        names += _TOOL
        dimensions.append(["server", "tool", "outcome"])
        found |= {
            "server": record.server, "tool": record.tool, "outcome": record.outcome, "mcp_tool_calls": 1,
            "mcp_tool_call_duration_seconds": record.duration_ms / 1e3,
        }  # fmt: skip
    metrics = [{"Name": name, "Unit": unit} for name, unit in names]
    directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}
    return {"_aws": {"Timestamp": int(call.at * 1000), "CloudWatchMetrics": [directive]}, **found}
