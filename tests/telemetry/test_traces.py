"""What a receiver of traces gets of finished calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import orjson
import pytest
from msgspec.structs import replace

from gateway.call import Call, Phase, Verdict
from gateway.telemetry import w3c
from gateway.telemetry.masking import Masking
from gateway.telemetry.otlp import OtlpHttp, OtlpSpans
from gateway.telemetry.traces import Exporter, Traces
from tests.telemetry.calls import MODEL, TOOL, call, model_call, refused_call, tool_call
from tests.telemetry.receiver import Receiver, attributes, receiving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def http(receiver: Receiver) -> Iterator[OtlpHttp]:
    found = OtlpHttp("traces", endpoint=receiver.url, environ={})
    yield found
    found.close()


def told(http: OtlpHttp, *calls: Call, **options: object) -> Traces:
    """Traces that have sent all of these calls."""
    traces = Traces(OtlpSpans(http, environ={}), **options)  # type: ignore[arg-type]
    for one in calls:
        traces.begin(one)
        traces.finished(one)
    assert traces.queue.flush()
    traces.queue.close()
    return traces


def test_a_call_joins_the_clients_trace_and_has_a_span_for_itself_its_policies_and_each_attempt(
    receiver: Receiver, http: OtlpHttp
) -> None:
    phases = [
        Phase("auth", 1_000_001_000, 1_000_002_000),
        Phase("attempt", 1_000_003_000, 1_000_004_000, "anthropic 529"),
        Phase("attempt", 1_000_005_000, 1_000_009_000, "bedrock 200"),
    ]
    told(http, model_call(headers={"traceparent": PARENT}, phases=phases))
    request, chat = receiver.span("anthropic /"), receiver.span("chat claude-opus-4-5")
    attempts = [span for span in receiver.spans if span.name == "attempt"]
    assert {span.trace_id.hex() for span in receiver.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert chat.parent_span_id == request.span_id == receiver.span("auth").parent_span_id
    assert [span.parent_span_id for span in attempts] == [chat.span_id, chat.span_id]
    assert attributes(attempts[0])["gateway.detail"] == "anthropic 529"
    assert receiver.span("auth").end_time_unix_nano - receiver.span("auth").start_time_unix_nano == 1000


def test_a_path_without_end_makes_no_span_without_end(receiver: Receiver, http: OtlpHttp) -> None:
    told(http, model_call(path="/" + "x" * 60_000, route=""))
    (request,) = [span for span in receiver.spans if span.name.startswith("anthropic")]
    assert len(request.name) < 1100
    assert len(str(attributes(request)["url.path"])) == 1024


def test_an_operation_has_a_span_of_its_own_though_its_record_names_the_requests(
    receiver: Receiver, http: OtlpHttp
) -> None:
    traces = Traces(OtlpSpans(http, environ={}))
    one = model_call()
    traces.begin(one)
    one.records[0].span_id = one.span_id
    traces.finished(one)
    traces.close()
    assert len({span.span_id for span in receiver.spans}) == len(receiver.spans) == 2


def test_model_spans_follow_the_genai_conventions(receiver: Receiver, http: OtlpHttp) -> None:
    told(http, call(replace(MODEL, provider="vertex", labels={"team": "platform"})))
    found = attributes(receiver.span("chat claude-opus-4-5"))
    assert found["gen_ai.provider.name"] == "gcp.vertex_ai"
    assert found["gen_ai.response.model"] == "claude-opus-4-5-20251101"
    assert found["gen_ai.usage.input_tokens"] == 1300
    assert found["gen_ai.usage.output_tokens"] == 50
    assert found["gen_ai.usage.cache_read.input_tokens"] == 1000
    assert found["user.id"] == "alice@example.com"
    assert found["session.id"] == found["gen_ai.conversation.id"] == "s-1"
    assert found["gateway.label.team"] == "platform"
    assert found["gateway.verdict"] == "allowed"


def test_tool_spans_follow_the_mcp_conventions_and_hold_no_arguments(
    receiver: Receiver, http: OtlpHttp
) -> None:
    told(http, tool_call())
    found = attributes(receiver.span("tools/call read_file"))
    assert found["mcp.method.name"] == "tools/call"
    assert found["mcp.tool.name"] == "read_file"
    assert found["mcp.server.id"] == "filesystem"
    assert found["gen_ai.operation.name"] == "execute_tool"
    assert found["gen_ai.tool.call.id"] == "toolu_1"
    assert "mcp.arguments" not in found


def test_arguments_are_on_the_span_when_asked_for(receiver: Receiver, http: OtlpHttp) -> None:
    told(http, tool_call(), arguments=Masking())
    found = attributes(receiver.span("tools/call read_file"))
    assert orjson.loads(str(found["mcp.arguments"]))["path"] == "/workspace/a.txt"
    assert "hunter2" not in str(found["mcp.arguments"])


def test_a_tools_span_links_to_the_model_call_that_asked_for_it(receiver: Receiver, http: OtlpHttp) -> None:
    asked = model_call(tool_uses=["toolu_1"])
    told(http, asked, tool_call())
    (link,) = receiver.span("tools/call read_file").links
    assert (link.trace_id.hex(), link.span_id.hex()) == (asked.trace_id, asked.span_id)


def test_a_refusal_is_an_error_with_its_rule_and_is_kept_though_nothing_is_sampled(
    receiver: Receiver, http: OtlpHttp
) -> None:
    told(http, model_call(), refused_call(), sample=0.0)
    assert [span.name for span in receiver.spans] == ["mcp /mcp", "tools/call delete_file"]
    request = receiver.spans[0]
    assert request.status.code == request.status.STATUS_CODE_ERROR
    assert attributes(request)["gateway.verdict"] == "blocked"
    assert attributes(request)["gateway.rules"] == ['authz: mcp.tool.name == "delete_file"']


@pytest.mark.parametrize(
    "kept",
    [
        call(replace(TOOL, outcome="timeout")),
        call(TOOL, verdicts=[Verdict("guard", "would_refuse", "pii")]),
        model_call(headers={"traceparent": PARENT}),
    ],
    ids=["failed", "would have been refused", "the client samples"],
)
def test_what_matters_is_kept_though_nothing_is_sampled(
    kept: Call, receiver: Receiver, http: OtlpHttp
) -> None:
    told(http, kept, sample=0.0)
    assert receiver.spans


def test_a_client_that_does_not_sample_is_followed(receiver: Receiver, http: OtlpHttp) -> None:
    told(http, model_call(headers={"traceparent": PARENT[:-2] + "00"}), sample=1.0)
    assert not receiver.spans


def test_the_share_that_is_sampled_is_the_one_asked_for(receiver: Receiver, http: OtlpHttp) -> None:
    told(http, *(model_call() for _ in range(400)), sample=0.25)
    kept = sum(span.name == "anthropic /" for span in receiver.spans)
    assert 50 < kept < 150


def test_the_environment_says_where_traces_go(receiver: Receiver) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "edge",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod",
    }
    http = OtlpHttp("traces", environ=environ)
    traces = Traces(OtlpSpans(http, environ=environ))
    one = model_call()
    traces.begin(one)
    traces.finished(one)
    assert traces.queue.flush()
    traces.queue.close()
    http.close()
    resource = {p.key: p.value.string_value for p in receiver.traces[0].resource_spans[0].resource.attributes}
    assert resource == {"service.name": "edge", "deployment.environment": "prod"}
    assert receiver.headers[0]["x-key"] == "a b"


def test_a_receiver_that_does_not_answer_delays_no_request_and_the_excess_is_counted(
    receiver: Receiver, http: OtlpHttp
) -> None:
    receiver.hold = threading.Event()
    traces = Traces(OtlpSpans(http, environ={}), size=10)
    calls = [model_call() for _ in range(200)]
    began = time.perf_counter()
    for one in calls:
        traces.begin(one)
        traces.finished(one)
    took = time.perf_counter() - began
    assert took < 5  # the receiver holds its answer for longer than that
    assert traces.queue.dropped >= 200 - 2 * 10
    receiver.hold.set()
    traces.queue.close()


def test_a_receiver_that_refuses_or_is_gone_costs_the_spans_and_nothing_else(receiver: Receiver) -> None:
    receiver.statuses = [400]
    http = OtlpHttp("traces", endpoint=receiver.url, environ={})
    assert told(http, model_call()).queue.dropped == 1
    http.close()


def test_a_receiver_that_asks_to_try_again_is_tried_again(receiver: Receiver, http: OtlpHttp) -> None:
    receiver.statuses = [503]
    assert told(http, model_call()).queue.dropped == 0
    assert receiver.spans


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        PARENT + "-more",
        PARENT[:-1],
    ],
)
def test_a_broken_traceparent_begins_a_new_trace(header: str) -> None:
    assert w3c.parse(header) is None


def test_a_traceparent_of_a_later_version_is_understood() -> None:
    found = w3c.parse("01" + PARENT[2:] + "-what-the-future-brings")
    assert found == w3c.Context("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    assert w3c.write(found) == PARENT


@pytest.fixture(scope="module")
def daemon() -> Iterator[socket.socket]:
    """X-Ray's, on a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening
    from aws_xray_sdk.core import xray_recorder

    for held in vars(xray_recorder.emitter).values():
        if isinstance(held, socket.socket):
            held.close()  # which the SDK leaves to the end of the process


def xray(daemon: socket.socket) -> Exporter:
    from gateway.telemetry.xray import XraySpans  # the SDK opens a socket when it is imported

    environ = {
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    }
    return XraySpans(environ=environ)


def test_xray_gets_one_datagram_a_span_below_the_segment_of_lambda(daemon: socket.socket) -> None:
    traces = Traces(xray(daemon))
    one = refused_call(status=403)
    traces.begin(one)
    traces.finished(one)
    assert traces.queue.flush()
    datagrams = [daemon.recv(65536).split(b"\n", 1) for _ in range(2)]
    traces.close()
    assert {orjson.loads(header)["format"] for header, _ in datagrams} == {"json"}
    request, tool = (orjson.loads(body) for _, body in datagrams)
    assert request["trace_id"] == tool["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert request["parent_id"] == "53995c3f42cd8ad8"
    assert request["type"] == "subsegment"
    assert request["http"]["response"]["status"] == 403
    assert request["error"] is True
    assert tool["parent_id"] == request["id"]
    assert tool["annotations"]["mcp_tool_name"] == "delete_file"


def test_what_is_too_long_for_xray_is_cut_and_the_span_arrives(daemon: socket.socket) -> None:
    traces = Traces(xray(daemon), arguments=Masking())
    one = call(replace(TOOL, arguments={"text": "ü" * 50_000}))
    traces.begin(one)
    traces.finished(one)
    assert traces.queue.flush()
    _, tool = (orjson.loads(daemon.recv(65536).split(b"\n", 1)[1]) for _ in range(2))
    traces.close()
    arguments = tool["annotations"]["mcp_arguments"]
    assert len(arguments) == 1000
    assert arguments.endswith("üü")
