"""What is switched off costs no import; what is on is measured by scripts/bench_telemetry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_measurement_runs_and_loses_nothing() -> None:
    run = [sys.executable, ROOT / "scripts/bench_telemetry", "--json", "--calls", "200", "--rounds", "1"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["calls"] == 200
    assert found["dropped"] == 0


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
