"""Spans as X-Ray segments, by UDP to the daemon that runs beside a Lambda function or on a host."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aws_xray_sdk.core import xray_recorder

from gateway.telemetry.spans import CLIENT, SERVER, Span

log = logging.getLogger("gateway.telemetry")
MOST = 60_000  # bytes of one datagram
LONGEST = 1000  # characters that an annotation may have


class _Document:
    """What the emitter wants of an entity: that it can write itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def serialize(self) -> str:
        return self._text


class XraySpans:
    """Exporter of spans: one datagram each. On Lambda they hang below the segment that the runtime names.

    `XraySpans(service="gateway")`; the daemon's address comes from `AWS_XRAY_DAEMON_ADDRESS`. The emitter is that of the
    SDK's own recorder, which is there from its import on and lasts as long as the process.
    """

    def __init__(self, *, service: str = "gateway", environ: Mapping[str, str] = os.environ) -> None:
        self._service = service
        self._environ = environ
        self._emitter = xray_recorder.emitter
        if address := environ.get("AWS_XRAY_DAEMON_ADDRESS"):
            self._emitter.set_daemon_address(address)

    def send(self, spans: Iterable[Span]) -> None:
        root = _header(self._environ.get("_X_AMZN_TRACE_ID", ""))
        for span in spans:
            data = orjson.dumps(document(span, service=self._service, root=root))
            if len(data) < MOST:
                self._emitter.send_entity(_Document(data.decode()))
            else:
                log.warning("a span of %d bytes does not fit a datagram of X-Ray", len(data))

    def close(self) -> None:
        """What was sent is out, and the socket is the recorder's."""


def document(span: Span, *, service: str, root: Mapping[str, str]) -> dict[str, Any]:
    """A segment for the request itself, subsegments below; with Lambda's own segment as `root`, all are subsegments."""
    attributes = span.attributes
    below = bool(span.parent) and span.shape.kind != SERVER
    parent = span.parent if below else root.get("Parent", span.parent)
    found: dict[str, Any] = {
        "trace_id": root.get("Root") or f"1-{span.trace_id[:8]}-{span.trace_id[8:]}",
        "id": span.span_id,
        "name": service if span.shape.kind == SERVER else _name(span.shape.name),
        "start_time": span.started / 1e9,
        "end_time": span.ended / 1e9,
        "annotations": {_key(name): _short(value) for name, value in attributes.items() if _plain(value)},
    }
    if parent:
        found["parent_id"] = parent
    if below or root:
        found["type"] = "subsegment"
    if span.shape.kind == CLIENT:
        found["namespace"] = "remote"
    if "http.response.status_code" in attributes:
        found["http"] = {"request": {"url": attributes["url.path"]},
                         "response": {"status": attributes["http.response.status_code"]}}  # fmt: skip
    if span.error:
        found["fault" if span.error.startswith("5") else "error"] = True
    return found


def _header(value: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in value.split(";") if "=" in part)


def _name(name: str) -> str:
    """X-Ray allows letters, digits, space and a few signs."""
    return "".join(sign if sign.isalnum() or sign in " _.:/%&#=+\\-@" else "_" for sign in name)[:200]


def _key(name: str) -> str:
    return name.replace(".", "_")


def _plain(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _short(value: object) -> object:
    return value[:LONGEST] if isinstance(value, str) else value
