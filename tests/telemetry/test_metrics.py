"""What Prometheus sees of finished calls."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from gateway.refusals import unauthorized
from gateway.telemetry import exposition
from gateway.telemetry.background import Background
from gateway.telemetry.metrics import SECONDS, TOGETHER, Metrics
from gateway.telemetry.registry import Registry
from gateway.telemetry.scrape import MetricsApp
from tests.driver import Driver
from tests.telemetry.calls import MODEL, TOOL, call, model_call, refused_call, tool_call

END = 1_000_000_000 + 1_500_000_000


def metrics(**options: object) -> Metrics:
    return Metrics(now=lambda: END, **options)  # type: ignore[arg-type]


def samples(found: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = "".join(exposition.render(found.registry))
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(found: Metrics, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    values = [v for (n, pairs), v in samples(found).items() if n == name and wanted <= set(pairs)]
    assert len(values) == 1, f"{name}{labels} has {len(values)} series"
    return values[0]


def test_a_model_call_counts_its_request_its_tokens_by_type_and_its_dollars() -> None:
    counted = metrics()
    counted.finished(model_call(answered=1_402_000_000, upstream_ns=400_000_000))
    assert value(counted, "gateway_requests_total", route="/", kind="llm", status="200") == 1
    assert value(counted, "gen_ai_client_token_usage_sum", gen_ai_token_type="input") == 1300
    assert value(counted, "gen_ai_client_token_usage_sum", gen_ai_token_type="input_cache_read") == 1000
    assert value(counted, "gen_ai_client_token_usage_sum", gen_ai_token_type="output") == 50
    assert value(counted, "gen_ai_client_cost_usd_total", gen_ai_provider_name="anthropic") == 0.25
    assert value(counted, "gen_ai_server_time_to_first_token_seconds_sum") == 0.4
    assert value(counted, "gateway_request_duration_seconds_sum") == 1.5
    assert value(counted, "gateway_overhead_seconds_sum") == pytest.approx(0.002)


def test_a_tool_call_counts_by_server_tool_and_outcome() -> None:
    counted = metrics()
    counted.finished(tool_call(upstream_ns=1_490_000_000))
    counted.finished(call(replace(TOOL, outcome="tool_error")))
    assert (
        value(counted, "mcp_tool_calls_total", server="filesystem", tool="read_file", outcome="tool_error")
        == 1
    )
    assert value(counted, "mcp_tool_calls_total", server="filesystem", tool="read_file", outcome="ok") == 1
    assert value(counted, "gateway_overhead_seconds_sum") == pytest.approx(0.01 + 1.5)


def test_a_refusal_counts_by_policy_and_a_missing_identity_on_an_mcp_route_as_an_auth_failure() -> None:
    counted = metrics()
    counted.finished(refused_call())
    counted.finished(call(refusal=unauthorized("who are you?"), status=401, dialect="mcp", route="/mcp"))
    assert (
        value(counted, "gateway_refusals_total", policy="authz", reason='mcp.tool.name == "delete_file"') == 1
    )
    assert value(counted, "mcp_auth_failures_total", route="/mcp") == 1
    assert value(counted, "gateway_verdicts_total", policy="authz", action="refuse") == 1


def test_a_health_check_without_records_counts_as_a_request_and_nothing_else() -> None:
    counted = metrics()
    counted.finished(call(operation=None, dialect="http", status=200, route="", path="/healthz"))
    names = {name for name, _ in samples(counted)}
    assert value(counted, "gateway_requests_total", route="none", kind="http") == 1
    assert not {name for name in names if name.startswith(("gen_ai", "mcp"))}


def test_configured_labels_stand_on_model_and_tool_metrics_and_absent_ones_are_unknown() -> None:
    counted = metrics(labels=["team"])
    counted.finished(call(replace(MODEL, labels={"team": "platform"})))
    counted.finished(tool_call())
    assert value(counted, "gen_ai_client_cost_usd_total", team="platform") == 0.25
    assert value(counted, "mcp_tool_calls_total", team="unknown") == 1


@given(st.lists(st.floats(0, 400) | st.sampled_from(SECONDS)))
def test_values_that_are_counted_together_fall_into_the_buckets_that_hold_them(values: list[float]) -> None:
    family = Registry().histogram("h_seconds", "h", buckets=SECONDS)
    family.observe((), values)
    if not values:
        assert family.series == {}
        return
    *counts, total = family.series[()]
    for index, edge in enumerate(SECONDS):
        assert sum(counts[: index + 1]) == sum(value <= edge for value in values)
    assert (sum(counts), total) == (len(values), pytest.approx(sum(values)))


def test_calls_are_counted_even_where_nobody_scrapes() -> None:
    counted = metrics()
    for _ in range(TOGETHER + 1):
        counted.finished(model_call())
    assert counted.requests.series == {("/", "llm", "200"): [TOGETHER]}
    assert value(counted, "gateway_requests_total", status="200") == TOGETHER + 1


def test_a_label_keeps_its_first_values_and_counts_the_rest_as_other() -> None:
    registry = Registry()
    family = registry.counter("c_total", "c", "model")
    for number in range(1000):
        family.add((f"model-{number}",))
    assert len(family.series) == 201
    assert family.series[("other",)][0] == 800


def test_a_tool_that_no_server_has_does_not_become_a_series() -> None:
    counted = metrics()
    for number in range(5):
        counted.finished(call(replace(TOOL, server="", tool=f"made-up-{number}", outcome="refused")))
    assert value(counted, "mcp_tool_calls_total", tool="unknown", outcome="refused") == 5


def test_the_prefix_also_shows_agentgateways_names() -> None:
    counted = metrics(prefix="agentgateway")
    counted.finished(model_call())
    assert value(counted, "agentgateway_requests_total", status="200") == 1
    assert (
        value(
            counted,
            "agentgateway_gen_ai_client_token_usage_sum",
            gen_ai_token_type="output",
            gen_ai_system="anthropic",
        )
        == 50
    )


def test_openmetrics_leads_from_a_slow_bucket_to_its_trace() -> None:
    counted = metrics()
    counted.finished(model_call(trace_id="ab" * 16))
    text = "".join(exposition.render(counted.registry, openmetrics=True))
    families = {family.name: family for family in openmetrics_families(text)}
    exemplars = [s.exemplar for s in families["gateway_request_duration_seconds"].samples if s.exemplar]
    assert exemplars[0].labels == {"trace_id": "ab" * 16}
    assert families["gateway_requests"].type == "counter"


def test_a_limiters_counters_and_a_queues_losses_are_taken_over_at_a_scrape() -> None:
    counted, counters = metrics(), Counter({"store_errors": 2, "failed_open": 1, "warned:100 usd a day": 1})
    counted.watch_limits(counters)
    counted.watch_limits(Counter({"store_errors": 5}))
    queue: Background[int] = Background(lambda batch: None, name="test", size=0)
    counted.watch_drops("traces", queue)
    counted.watch_drops("traces", queue)
    queue.put(1)
    assert value(counted, "gateway_store_errors_total", verb="take", verdict="error") == 7
    counters["store_errors"] += 1
    assert value(counted, "gateway_store_errors_total", verb="take", verdict="error") == 8
    assert value(counted, "gateway_store_errors_total", verb="take", verdict="open") == 1
    assert value(counted, "gateway_budget_warnings_total", budget="100 usd a day") == 1
    assert value(counted, "gateway_telemetry_dropped_total", signal="traces") == 2


def test_a_provider_that_fails_is_counted_though_its_stream_had_begun() -> None:
    counted = metrics()
    for outcome in ("ok", "timeout", "client_gone"):
        counted.finished(call(replace(MODEL, outcome=outcome), status=200))
    assert value(counted, "gateway_requests_total", status="200") == 3
    assert value(counted, "gateway_provider_failures_total", provider="anthropic", outcome="timeout") == 1


def test_the_counters_of_a_cache_are_taken_over_at_a_scrape() -> None:
    counted, counters = metrics(), Counter({"hit": 2, "miss": 3, "get": 1})
    counted.watch_cache(counters)
    assert value(counted, "gateway_cache_lookups_total", result="hit") == 2
    counters["hit"] += 1
    assert value(counted, "gateway_cache_lookups_total", result="hit") == 3
    assert value(counted, "gateway_cache_lookups_total", result="miss") == 3
    assert value(counted, "gateway_store_errors_total", verb="get", verdict="error") == 1


def test_hostile_label_values_cannot_forge_a_sample() -> None:
    counted = metrics()
    hostile = 'x"} 1\ngateway_requests_total{route="forged'
    counted.finished(call(replace(MODEL, route=hostile), route=hostile))
    assert value(counted, "gateway_requests_total", route=hostile) == 1


async def test_the_metrics_port_answers_both_formats_and_lets_others_go_first() -> None:
    counted = metrics()
    for number in range(400):
        counted.tools.add((f"s{number % 20}", f"t{number}", "ok"))
    driver, turns = Driver(MetricsApp(counted.registry)), []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    busy = asyncio.create_task(other())
    plain = await driver.get("/metrics")
    opened = await driver.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
    busy.cancel()
    assert b'mcp_tool_calls_total{server="s1",tool="t1",outcome="ok"} 1' in plain.body
    assert opened.body.endswith(b"# EOF\n")
    assert len(turns) > 10
    assert (await driver.get("/other")).status == 404
