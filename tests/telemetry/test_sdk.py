"""Spans through exporters that were written for opentelemetry-sdk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.call import Phase
from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.errors import ConfigError
from gateway.telemetry.sdk import SdkSpans
from gateway.telemetry.traces import Traces
from tests.telemetry.calls import model_call, refused_call, tool_call
from tests.telemetry.receiver import Receiver, attributes, receiving
from tests.telemetry.watched import PROMPT, SECRET, known, message, watched

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACES = "telemetry: {{log: 'off', traces: {{exporter: {kind}, {more}}}}}"
OFFICIAL = "opentelemetry.exporter.otlp.proto.http.trace_exporter:OTLPSpanExporter"


@contextmanager
def receiving_grpc() -> Iterator[Receiver]:
    """An OTLP receiver over gRPC that keeps what it is sent."""

    class Servicer(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            receiver.traces.append(request)
            receiver.headers.append(dict(context.invocation_metadata()))
            return ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Servicer(), server)
    receiver = Receiver(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    try:
        yield receiver
    finally:
        assert server.stop(0).wait(10)


def sent(*calls: object) -> dict[str, ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = Traces(SdkSpans(exporter, environ={"OTEL_SERVICE_NAME": "gw"}))
    for one in calls:
        traces.begin(one)  # type: ignore[arg-type]
        traces.finished(one)  # type: ignore[arg-type]
    assert traces.queue.flush()
    found = {span.name: span for span in exporter.get_finished_spans()}
    traces.close()
    return found


def test_an_exporter_gets_the_sdks_own_spans() -> None:
    phases = [Phase("attempt", 1_000_003_000, 1_000_004_000, "anthropic 200")]
    asked = model_call(headers={"traceparent": PARENT}, phases=phases, tool_uses=["toolu_1"])
    found = sent(asked, tool_call(), refused_call())
    request, chat, attempt = found["anthropic /"], found["chat claude-opus-4-5"], found["attempt"]
    assert request.context is not None
    assert request.parent is not None
    assert format(request.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert format(request.parent.span_id, "016x") == "b7ad6b7169203331"
    assert request.parent.is_remote
    assert (request.kind, chat.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert chat.parent == request.context
    assert attempt.parent == chat.context
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.usage.output_tokens"] == 50
    assert request.resource.attributes["service.name"] == "gw"
    (link,) = found["tools/call read_file"].links
    assert link.context == request.context
    assert found["tools/call delete_file"].status.status_code is StatusCode.ERROR
    assert request.status.status_code is StatusCode.UNSET
    assert chat.end_time is not None
    assert chat.start_time is not None
    assert chat.end_time - chat.start_time == 1_500_000_000


class Refusing(InMemorySpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.FAILURE


def test_what_an_exporter_did_not_take_is_counted() -> None:
    traces = Traces(SdkSpans(Refusing(), environ={}))
    traces.begin(called := tool_call())
    traces.finished(called)
    assert traces.queue.flush()
    assert traces.queue.dropped == 1
    traces.close()


def whole(telemetry: str) -> None:
    text = f"routes: [{{path: /, llm: {{providers: {{anthropic: {{api_key: k}}}}}}}}]\n{telemetry}"
    build(loads(text, source="gateway.yaml", folder=Path(), env={}), Resources(dry=True))


async def test_a_file_names_the_official_exporter_and_its_options(tmp_path: Path) -> None:
    with receiving() as receiver:
        options = f"options: {{endpoint: '{receiver.url}/v1/traces', headers: {{x-tenant: acme}}}}"
        telemetry = TRACES.format(kind="sdk", more=f"service: gw, sdk: '{OFFICIAL}', {options}")
        async with watched(tmp_path, telemetry) as gateway:
            await gateway.traffic(1)
    assert attributes(receiver.span("chat claude-haiku-4-5"))["session.id"] == "session-1"
    assert receiver.headers[0]["x-tenant"] == "acme"
    assert PROMPT not in str(receiver.traces)
    assert SECRET not in str(receiver.traces)


async def test_otlp_goes_over_grpc_where_the_file_says_so(tmp_path: Path) -> None:
    with receiving_grpc() as receiver:
        more = f"protocol: grpc, endpoint: '{receiver.url}', headers: {{x-tenant: acme}}"
        async with (
            watched(tmp_path, TRACES.format(kind="otlp", more=more)) as gateway,
            httpx.AsyncClient() as client,
        ):
            answer = await client.post(f"{gateway.url}/v1/messages", json=message(), headers=known())
            assert answer.status_code == 200
        chat = receiver.span("chat claude-haiku-4-5")
    assert attributes(chat)["gen_ai.request.model"] == "claude-haiku-4-5"
    assert receiver.headers[0]["x-tenant"] == "acme"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("sdk: 'nowhere.at_all:Exporter'", "not installed"),
        ("sdk: 'opentelemetry.sdk.trace.export:Nothing'", "there is no"),
        (f"sdk: '{OFFICIAL}', options: {{color: red}}", "does not take these options"),
        ("sdk: 'pathlib:Path'", "no span exporter"),
        ("sdk: 'pathlib'", "must be package.module:ExporterClass"),
        ("service: gw", "needs sdk: package.module:ExporterClass"),
    ],
)
def test_a_file_that_names_no_exporter_is_refused_with_the_reason(more: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        whole(TRACES.format(kind="sdk", more=more))
