"""What seeing costs: the budget is 60 µs of processor time a request, all threads counted."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from gateway.call import Call, Phase, Verdict
from gateway.metering.prices import Prices
from gateway.telemetry.audit import Audit
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import OtlpHttp, OtlpSpans
from gateway.telemetry.recent import Recent
from gateway.telemetry.sinks import FileSink
from gateway.telemetry.toolcosts import ToolCosts
from gateway.telemetry.traces import Traces
from tests.telemetry.calls import model_call

CALLS = 1000
BODY = (
    b'{"model":"claude-opus-4-5","system":"'
    + b"s" * 900
    + b'","messages":[{"role":"user","content":"hello"}]}'
)


def finished() -> Call:
    began = 1_000_000_000
    policies = [Phase(name, began, began + 10_000) for name in ("auth", "authz", "ratelimit", "guard")]
    attempt = Phase("attempt", began + 20_000, began + 2_000_000, "anthropic 200")
    return model_call(phases=[*policies, attempt], verdicts=[Verdict("authz", "allow")], body=BODY)


def test_everything_that_watches_costs_less_than_its_budget(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    traces = Traces(OtlpSpans(OtlpHttp("traces", transport=transport, environ={}), environ={}), size=CALLS)
    audit, costs = (
        Audit(FileSink(tmp_path / "audit.jsonl"), size=CALLS),
        ToolCosts(Prices(), size=CALLS),
    )
    observers = (Metrics(), traces, audit, costs, Recent())
    best = float("inf")
    for _ in range(5):
        calls = [finished() for _ in range(CALLS)]
        began = time.process_time()
        for call in calls:
            traces.begin(call)
            for observer in observers:
                observer.finished(call)
        for queue in (traces.queue, audit.queue, costs.queue):
            assert queue.flush(30)
        best = min(best, (time.process_time() - began) / CALLS)
    for made in (traces, audit, costs):
        made.close()
    assert best < 60e-6, f"{best * 1e6:.0f} µs"
    assert traces.queue.dropped == audit.queue.dropped == costs.queue.dropped == 0


def test_nothing_is_imported_for_what_is_switched_off() -> None:
    script = "import sys, gateway.telemetry.metrics, gateway.telemetry.traces, gateway.telemetry.audit, gateway.telemetry.emf;"
    heavy = "print([name for name in ('opentelemetry', 'httpx', 'aws_xray_sdk', 'celpy', 'boto3', 'google') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script + heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_spans_sent_as_otlp_import_nothing_of_the_sdk() -> None:
    """Only `exporter: sdk` and `protocol: grpc` do."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from gateway.config.build import build\nfrom gateway.config.load import loads\n"
        "from gateway.config.resources import Resources\n"
        "text = 'routes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\\n'\n"
        "text += 'telemetry: {traces: {exporter: otlp, endpoint: \"http://127.0.0.1:1\"}}'\n"
        "build(loads(text, source='g.yaml', folder=Path(), env={}), Resources())\n"
        "print([name for name in ('opentelemetry', 'grpc', 'aws_xray_sdk') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
