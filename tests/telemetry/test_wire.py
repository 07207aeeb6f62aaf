"""Bytes written by hand are what OpenTelemetry's own messages read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.telemetry import wire
from gateway.telemetry.spans import Link, Shape, Span
from tests.telemetry.receiver import attributes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
VALUES = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(TEXT).map(tuple),
)
TRACE, SPAN = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)  # fmt: skip


@given(
    trace=TRACE, id=SPAN, parent=st.one_of(st.just(b""), SPAN), name=TEXT, kind=st.integers(1, 5),
    times=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), error=TEXT,
    found=st.dictionaries(TEXT, VALUES, max_size=8), shared=st.integers(0, 8), links=st.lists(st.tuples(TRACE, SPAN), max_size=3),
)  # fmt: skip
def test_every_span_is_read_as_it_was(
    trace: bytes, id: bytes, parent: bytes, name: str, kind: int, times: tuple[int, int], error: str,
    found: dict[str, Any], shared: int, links: list[tuple[bytes, bytes]],
) -> None:  # fmt: skip
    shape, own = Shape(name, kind, dict(list(found.items())[:shared])), dict(list(found.items())[shared:])
    made = Span(trace.hex(), id.hex(), parent.hex(), shape, *times, own, error,
                tuple(Link(t.hex(), s.hex()) for t, s in links))  # fmt: skip
    request = ExportTraceServiceRequest.FromString(wire.spans([made], wire.resource({"service.name": "x"})))
    (resource,) = request.resource_spans
    assert resource.resource.attributes[0].value.string_value == "x"
    assert resource.scope_spans[0].scope.name == "gateway"
    (read,) = resource.scope_spans[0].spans
    assert (read.trace_id, read.span_id, read.parent_span_id) == (trace, id, parent)
    assert (read.name, read.kind) == (name, kind)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == times
    assert (read.status.code, read.status.message) == ((2, error) if error else (0, ""))
    assert [(link.trace_id, link.span_id) for link in read.links] == links
    assert attributes(read) == {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40_000), max_size=5))
def test_every_line_is_read_as_it_was(lines: list[str]) -> None:
    data = wire.logs([line.encode() for line in lines], wire.resource({"service.name": "x"}), b"audit")
    request = ExportLogsServiceRequest.FromString(data)
    records = request.resource_logs[0].scope_logs[0].log_records
    assert [record.body.string_value for record in records] == lines
    assert {record.severity_number for record in records} <= {9}


def test_text_that_is_no_unicode_does_not_stop_a_batch() -> None:
    made = Span("ab" * 16, "cd" * 8, "", Shape("lone \ud800", 1, {}), 0, 1, {"a": "\udfff"})
    request = ExportTraceServiceRequest.FromString(wire.spans([made], b""))
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "lone ?"
