"""On Lambda nothing runs between two requests: what a request has to tell is told before its answer ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.types import App
from scripts.lambda_demo import demo
from tests.deploy.places import PLACES, Asked, Place
from tests.telemetry.receiver import receiving
from tests.telemetry.watched import CONFIG, KEY, SECRET, known, message, tool


@pytest.fixture(params=["http-api", "streaming"])
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "hello.txt").write_text("hello")
    with demo(folder) as url:
        yield url


def app(behind: str, folder: Path, telemetry: str) -> tuple[App, Resources]:
    resources = Resources(place="lambda-streaming")
    text = CONFIG.format(key=KEY, demo=behind, secret=SECRET, telemetry=telemetry, usage="")
    return build(loads(text, source="gateway.yaml", folder=folder, env={}), resources).app, resources


def asked(path: str, body: object) -> Asked:
    return Asked("POST", path, {**known(), "content-type": "application/json"}, json.dumps(body).encode())


async def test_spans_audit_ledger_and_metrics_are_out_when_the_app_returns(
    place: Place, behind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving() as receiver:
        more = f"traces: {{exporter: otlp, endpoint: '{receiver.url}'}}, audit: {{file: '-'}}"
        telemetry = f"telemetry: {{log: 'off', metrics: {{emf: true}}, {more}}}"
        gateway, resources = app(behind, tmp_path, telemetry)
        for path, body in (
            ("/v1/messages", message()),
            ("/v1/messages", message(model="forbidden")),
            ("/mcp", tool("read_file", {"path": "hello.txt"})),
        ):
            await place(gateway, asked(path, body), resources.client.close)
        outcomes = [record.outcome for record in reversed(await resources.store.records())]
        names = {span.name for span in receiver.spans}
        await resources.close()
    assert outcomes == ["ok", "refused", "ok"]
    assert {"chat claude-haiku-4-5", "chat forbidden", "tools/call read_file"} <= names
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["outcome"] for line in told if "event" in line] == outcomes
    assert [line["gateway_refusals"] for line in told if "event" not in line] == [0, 1, 0]


async def test_a_receiver_that_does_not_answer_keeps_one_request_waiting_and_no_other(
    behind: str, tmp_path: Path
) -> None:
    with receiving() as receiver:
        receiver.hold = threading.Event()
        telemetry = f"telemetry: {{log: 'off', traces: {{exporter: otlp, endpoint: '{receiver.url}'}}}}"
        gateway, resources = app(behind, tmp_path, telemetry)
        took = []
        for _ in range(3):
            began = time.monotonic()
            answer = await PLACES["streaming"](
                gateway, asked("/v1/messages", message()), resources.client.close
            )
            took.append(time.monotonic() - began)
            assert answer.status == 200
        receiver.hold.set()
        assert await asyncio.to_thread(receiver.arrived.wait, 10)
        await resources.close()
    assert took[0] >= 1
    assert max(took[1:]) < 0.9
