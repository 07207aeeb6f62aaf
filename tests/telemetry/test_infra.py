"""The files under infra/: whole, consistent with each other, and with the metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.registry import Histogram

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DASHBOARDS = sorted((INFRA / "grafana/dashboards").glob("*.json"))
_NAME = re.compile(r"\b((?:gateway|gen_ai|mcp)_[a-z0-9_]+)(?=\{|\[|\)|$|\s)")


def read(path: str) -> Any:
    return yaml.safe_load((INFRA / path).read_text())


def sampled() -> set[str]:
    """Every name that a scrape can show."""
    names: set[str] = set()
    for family in Metrics().registry.families:
        endings = ("_bucket", "_sum", "_count") if isinstance(family, Histogram) else ("",)
        names |= {family.name + ending for ending in endings}
    return names


def expressions() -> list[str]:
    rules = [rule["expr"] for group in read("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    panels = [
        target["expr"]
        for file in DASHBOARDS
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    return rules + panels


def test_the_compose_file_is_one_by_the_specifications_schema() -> None:
    schema = json.loads((ROOT / "tests/vectors/compose/compose-spec.json").read_text())
    jsonschema.validate(read("docker-compose.yml"), schema, cls=jsonschema.Draft7Validator)


def test_what_the_compose_file_mounts_exists_and_nothing_has_a_default_password() -> None:
    compose = read("docker-compose.yml")
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (INFRA / source).exists(), f"{name}: {source}"
        for key, value in (service.get("environment") or {}).items():
            if key.endswith(("PASSWORD", "TOKEN", "_KEY")) and key not in (
                "ANTHROPIC_API_KEY",
                "PAGERDUTY_KEY",
            ):
                assert ":?" in value, f"{name}: {key} has a default"


def test_ports_that_show_anything_are_open_to_this_machine_only_and_none_is_taken_twice() -> None:
    ports = [
        port
        for service in read("docker-compose.yml")["services"].values()
        for port in service.get("ports", ())
    ]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["3000:3000"]
    assert len({port.split(":")[-2] for port in ports}) == len(ports)
    assert "127.0.0.1:3002:3000" in ports


def test_the_configuration_that_compose_serves_can_be_read() -> None:
    from gateway.config.load import load

    env = {"GATEWAY_KEY": "k" * 32, "ADMIN_TOKEN": "t" * 32, "ANTHROPIC_API_KEY": "x"}
    loaded = load(INFRA / "gateway.yaml", env=env).data
    (job,) = read("prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"gateway:{loaded['listen']['metrics']}"]


@pytest.mark.parametrize("expression", expressions())
def test_a_query_asks_for_metrics_that_there_are(expression: str) -> None:
    asked = set(_NAME.findall(expression.replace("by (", "by(")))
    labels = {word for family in Metrics().registry.families for word in family.labels}
    unknown = asked - sampled() - labels
    assert not unknown, unknown


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_has_its_title_every_panel_a_place_and_a_data_source(file: Path) -> None:
    board = json.loads(file.read_text())
    sources = {
        source["uid"] for source in read("grafana/provisioning/datasources/gateway.yml")["datasources"]
    }
    places = set()
    for panel in board["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not cells & places, f"{panel['title']} lies over another panel"
        places |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] in sources
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_first_dashboard_keeps_the_title_that_people_know_and_leads_with_tool_success() -> None:
    board = json.loads((INFRA / "grafana/dashboards/llm.json").read_text())
    assert board["title"] == "AgentGateway LLM Observability"
    assert next(panel["title"] for panel in board["panels"] if panel["type"] != "row") == "Tool success"


def test_every_alert_has_a_test() -> None:
    rules = [rule for group in read("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    tested = {
        case["alertname"]
        for test in read("prometheus/alerts_test.yml")["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert alerts == tested
