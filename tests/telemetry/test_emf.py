"""What CloudWatch reads in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.call import Call
from gateway.telemetry.emf import EmbeddedMetrics
from tests.telemetry.calls import MODEL, TOOL, call, model_call, refused_call, tool_call


class Kept:
    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []

    def write(self, line: Mapping[str, Any]) -> None:
        self.lines.append(line)


def embedded(*calls: Call) -> list[Mapping[str, Any]]:
    kept = Kept()
    observer = EmbeddedMetrics(kept, now=lambda: 2_500_000_000)
    for one in calls:
        observer.finished(one)
    return kept.lines


def told(line: Mapping[str, Any]) -> dict[str, float]:
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    for dimensions in directive["Dimensions"]:
        assert all(isinstance(line[name], str) and line[name] for name in dimensions)
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_a_model_call_is_metrics_by_route_and_by_model() -> None:
    (line,) = embedded(model_call())
    assert told(line) == {
        "gateway_requests": 1, "gateway_request_duration_seconds": 1.5, "gateway_refusals": 0, "gateway_errors": 0,
        "gen_ai_client_input_tokens": 1300, "gen_ai_client_output_tokens": 50, "gen_ai_client_cost_usd": 0.25,
        "gen_ai_server_time_to_first_token_seconds": 0.4,
    }  # fmt: skip
    assert line["_aws"]["Timestamp"] == 1_000_000
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["route"], ["provider", "model"]]


def test_a_tool_call_is_metrics_by_server_tool_and_outcome() -> None:
    ok, refused = embedded(tool_call(), refused_call())
    assert told(ok)["mcp_tool_calls"] == 1
    assert told(refused)["gateway_refusals"] == 1
    assert (refused["tool"], refused["outcome"]) == ("delete_file", "refused")


def test_what_a_caller_invents_is_no_dimension() -> None:
    (line, model) = embedded(call(replace(TOOL, server="", tool="made-up")), call(replace(MODEL, usage=None, outcome="error")))  # fmt: skip
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["route"]]
    assert "made-up" not in str(line)
    assert told(model)["gateway_errors"] == 1
    assert "claude" not in str(model)
