"""What the file says of seeing: the audit's key, claims and receiver, bodies for the inspector, prices, OpenTelemetry's variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import main
from gateway.config.build import build
from gateway.config.build_traces import told
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.errors import ConfigError
from tests.driver import Driver
from tests.telemetry.receiver import receiving
from tests.telemetry.watched import PROMPT, SECRET, known, message, tool, watched

HERE = {"host": "localhost"}


async def test_an_audit_with_a_key_says_what_it_kept_and_only_the_key_verifies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = "audit: {file: audit.jsonl, key: 'k1-of-the-audit', claims: [email], headers: [x-team]}"
    async with (
        watched(tmp_path, f"telemetry: {{log: 'off', {section}}}") as gateway,
        httpx.AsyncClient() as client,
    ):
        await client.post(f"{gateway.url}/v1/messages", json=message(), headers=known() | {"x-team": "blue"})
    file = tmp_path / "audit.jsonl"
    (line,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert line["headers"] == {"x-team": "blue"}
    assert line["kept"] == {"claims": ["email"], "headers": ["x-team"]}
    monkeypatch.setenv("AUDIT_KEY", "k1-of-the-audit")
    assert main(["audit", "verify", "--file", str(file), "--key-env", "AUDIT_KEY"]) == 0
    assert main(["audit", "verify", "--file", str(file)]) == 1
    capsys.readouterr()


async def test_a_replay_relies_only_upon_the_claims_and_headers_that_were_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = "audit: {file: audit.jsonl, headers: [x-team]}"
    async with (
        watched(tmp_path, f"telemetry: {{log: 'off', {section}}}") as gateway,
        httpx.AsyncClient() as client,
    ):
        await client.post(f"{gateway.url}/v1/messages", json=message(), headers=known() | {"x-team": "blue"})
    for header, decided in (("x-team", "would be refused"), ("user-agent", "undecidable")):
        new = tmp_path / "new.yaml"
        new.write_text(
            "routes: [{path: /, llm: {providers: {anthropic: {api_key: '${NOT_SET_HERE}'}}}}]\n"
            f'policies: {{authz: {{deny: [\'request.headers["{header}"] != "red"\']}}}}\n'
        )
        assert (
            main(["audit", "replay", "--file", str(tmp_path / "audit.jsonl"), "--config", str(new), "--json"])
            == 1
        )
        summary = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert summary[decided] == 1


async def test_the_audit_goes_to_an_otlp_receiver(tmp_path: Path) -> None:
    with receiving() as receiver:
        section = f"audit: {{otlp: {{endpoint: '{receiver.url}', headers: {{x-tenant: acme}}}}}}"
        async with (
            watched(tmp_path, f"telemetry: {{log: 'off', {section}}}") as gateway,
            httpx.AsyncClient() as client,
        ):
            await client.post(f"{gateway.url}/mcp", json=tool("delete_file", {"path": "a"}), headers=known())
        (record,) = receiver.logs[0].resource_logs[0].scope_logs[0].log_records
        assert json.loads(record.body.string_value)["outcome"] == "refused"
        assert receiver.headers[0]["x-tenant"] == "acme"


async def inspected(folder: Path, more: str) -> dict[str, Any]:
    body = message() | {
        "tools": [{"name": "add", "input_schema": {"type": "object"}}],
        "metadata": {"token": SECRET},
    }
    async with (
        watched(folder, f"telemetry: {{log: 'off'}}\n{more}") as gateway,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(f"{gateway.url}/v1/messages", json=body, headers=known())
        page = Driver(gateway.admin)
        call = answer.headers["x-gateway-call"]
        costs = (await page.get("/api/costs", headers=HERE)).json
        return {**(await page.get(f"/api/call/{call}", headers=HERE)).json, "costs": costs}


async def test_bodies_are_kept_for_the_inspector_only_where_the_file_says_so_and_masked(
    tmp_path: Path,
) -> None:
    seen = await inspected(tmp_path, "")
    assert (seen["content"], seen["body"]) == (False, None)
    seen = await inspected(tmp_path, "admin: {content: true}")
    assert PROMPT in seen["body"]["messages"][0]["content"]
    assert seen["body"]["metadata"]["token"] == "***"
    assert SECRET not in json.dumps(seen)


async def test_tools_cost_what_the_operators_own_prices_say(tmp_path: Path) -> None:
    (listed,) = (await inspected(tmp_path, ""))["costs"]["tools"]
    text = "prices: {claude-haiku-4-5: {input: 1000, output: 1}}"
    async with (
        watched(tmp_path, "telemetry: {log: 'off'}", usage=text) as gateway,
        httpx.AsyncClient() as client,
    ):
        body = message() | {"tools": [{"name": "add", "input_schema": {"type": "object"}}]}
        await client.post(f"{gateway.url}/v1/messages", json=body, headers=known())
        (own,) = (await Driver(gateway.admin).get("/api/costs", headers=HERE)).json["tools"]
    assert own["usd"] == pytest.approx(own["tokens"] / 1000)
    assert own["usd"] > 100 * listed["usd"]


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("{file: a.jsonl, otlp: {endpoint: 'http://127.0.0.1:1'}}", "either file or otlp"),
        ("{headers: [authorization]}", "may carry a credential"),
        ("{headers: [x-api-key]}", "may carry a credential"),
    ],
)
def test_an_audit_that_cannot_be_meant_is_refused(section: str, why: str) -> None:
    text = f"routes: [{{path: /, llm: {{providers: {{anthropic: {{api_key: k}}}}}}}}]\ntelemetry: {{audit: {section}}}"
    with pytest.raises(ConfigError, match=why):
        build(loads(text, source="gateway.yaml", folder=Path(), env={}), Resources(dry=True))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"exporter": "none"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, {"exporter": "otlp", "protocol": "http/protobuf"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, {"exporter": "otlp"}),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"exporter": "otlp", "protocol": "grpc"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, {"exporter": "none"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, {"exporter": "none"}),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, {"exporter": "none"}),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, {"sample": 0.25}),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, {"sample": 0.0}),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "much"}, {"exporter": "none"}),
    ],
)  # fmt: skip
def test_opentelemetrys_variables_stand_where_the_file_says_nothing(
    environ: dict[str, str], expected: dict[str, Any]
) -> None:
    assert told(environ).items() >= expected.items()
