"""Spans for any exporter that was written for opentelemetry-sdk: a vendor's own, or OTLP over gRPC.

Ours write OTLP without the SDK, at a fifteenth of its cost. This is for receivers that want something else; what it costs, it
costs in the exporter's thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway.errors import ConfigError
from gateway.telemetry.otlp import ExportFailed, described
from gateway.telemetry.spans import CLIENT, INTERNAL, SERVER, Span

GRPC: Final = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter:OTLPSpanExporter"
_SCOPE: Final = InstrumentationScope("gateway")
_KINDS: Final = {INTERNAL: SpanKind.INTERNAL, SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class SdkSpans:
    """Exporter of spans: `SdkSpans(InMemorySpanExporter())`, with any `SpanExporter` of opentelemetry-sdk."""

    def __init__(
        self, exporter: SpanExporter, *, service: str = "", environ: Mapping[str, str] = os.environ
    ) -> None:
        self._exporter = exporter
        self._resource = Resource(described(service, environ))

    def send(self, spans: Iterable[Span]) -> None:
        found = self._exporter.export([readable(span, self._resource) for span in spans])
        if found is not SpanExportResult.SUCCESS:
            raise ExportFailed(f"{type(self._exporter).__name__} did not take them")

    def close(self) -> None:
        self._exporter.shutdown()


def readable(span: Span, resource: Resource) -> ReadableSpan:
    """One of our spans as the SDK's."""
    return ReadableSpan(
        span.shape.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent, remote=span.shape.kind == SERVER)
        if span.parent
        else None,
        resource=resource,
        attributes=span.attributes,
        links=[Link(_context(link.trace_id, link.span_id)) for link in span.links],
        kind=_KINDS[span.shape.kind],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
        start_time=span.started,
        end_time=span.ended,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: str, span_id: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, _SAMPLED)


def made(name: str, options: Mapping[str, Any]) -> SpanExporter:
    """The exporter of `package.module:Class`, with the options that its constructor takes. Raises ConfigError."""
    module, _, member = name.partition(":")
    try:
        exporter: SpanExporter = getattr(import_module(module), member)(**options)
    except ImportError as error:
        raise ConfigError(f"telemetry.traces: {name} is not installed: {error}") from None
    except AttributeError as error:
        raise ConfigError(f"telemetry.traces: there is no {name}: {error}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"telemetry.traces: {name} does not take these options: {error}") from None
    if not callable(getattr(exporter, "export", None)):
        raise ConfigError(f"telemetry.traces: {name} is no span exporter")
    return exporter
