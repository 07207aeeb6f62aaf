"""An OTLP receiver over HTTP: keeps what it is sent, and can be slow, gone or lying."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    """`statuses` are answered first, one each; then 200. `hold` makes it wait until that is set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.traces: list[ExportTraceServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.hold: threading.Event | None = None
        self.arrived = threading.Event()

    @property
    def spans(self) -> list[Span]:
        return [
            span for r in self.traces for rs in r.resource_spans for ss in rs.scope_spans for span in ss.spans
        ]

    def span(self, name: str) -> Span:
        return next(span for span in self.spans if span.name == name)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.headers.append(headers)
        self.arrived.set()
        if self.hold is not None:
            self.hold.wait(10)
        if self.statuses:
            return self.statuses.pop(0)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if path.endswith("/v1/logs"):
            self.logs.append(ExportLogsServiceRequest.FromString(body))
        else:
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        return 200


def attributes(span: Span) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind) if kind else None
        found[pair.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = receiver.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.hold is not None:
            receiver.hold.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
