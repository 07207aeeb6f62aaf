"""The app of the metrics port: `/metrics`, rendered in slices so that no request waits for a scrape."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator

from gateway.telemetry import exposition
from gateway.telemetry.registry import Registry
from gateway.types import Receive, Scope, Send


class MetricsApp:
    """`MetricsApp(metrics.registry)`; answers GET and HEAD of `/metrics`, and 404 otherwise."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics" or scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 404, "text/plain; charset=utf-8", b"the metrics are at /metrics\n")
            return
        accept = _header(scope, b"accept")
        openmetrics = "application/openmetrics-text" in accept
        media = exposition.OPENMETRICS if openmetrics else exposition.PROMETHEUS
        body = await _gathered(exposition.render(self._registry, openmetrics=openmetrics))
        headers = []
        if "gzip" in _header(scope, b"accept-encoding"):
            body = await asyncio.to_thread(gzip.compress, body, 3)
            headers.append((b"content-encoding", b"gzip"))
        await _answer(send, 200, media, b"" if scope["method"] == "HEAD" else body, headers)


async def _gathered(slices: Iterator[str]) -> bytes:
    parts = []
    for part in slices:
        parts.append(part)
        await asyncio.sleep(0)  # requests that are ready go first
    return "".join(parts).encode()


def _header(scope: Scope, name: bytes) -> str:
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


async def _answer(
    send: Send, status: int, media: str, body: bytes, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body)), *(more or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
