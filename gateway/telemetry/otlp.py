"""OTLP over HTTP: where spans and audit lines are posted to, from a background thread.

The environment variables of the specification are honoured.
"""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

import httpx

from gateway.errors import GatewayError
from gateway.telemetry import wire
from gateway.telemetry.spans import Span

_AGAIN: Final = frozenset({429, 502, 503, 504})
_DELAYS: Final = (0.5, 1.0, 2.0)


class ExportFailed(GatewayError):
    pass


class OtlpHttp:
    """Where one signal goes. What is not given comes from `OTEL_EXPORTER_OTLP_*`, at last from localhost:4318."""

    def __init__(
        self,
        signal: str,
        *,
        endpoint: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        environ: Mapping[str, str] = os.environ,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._environ, self._signal = environ, signal.upper()
        self.url = f"{endpoint.rstrip('/')}/v1/{signal}" if endpoint else self._endpoint(signal)
        self._headers = {"content-type": "application/x-protobuf", **self._env_headers(), **(headers or {})}
        self._gzip = self._env("COMPRESSION") == "gzip"
        seconds = timeout or float(self._env("TIMEOUT") or 10)
        verify = self._env("CERTIFICATE") or True
        self._client = httpx.Client(timeout=seconds, transport=transport, verify=verify)
        self._closed = threading.Event()

    def _env(self, name: str) -> str:
        specific = self._environ.get(f"OTEL_EXPORTER_OTLP_{self._signal}_{name}", "")
        return specific or self._environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")

    def _endpoint(self, signal: str) -> str:
        specific = self._environ.get(f"OTEL_EXPORTER_OTLP_{self._signal}_ENDPOINT", "")
        base = self._environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") or "http://localhost:4318"
        return specific or f"{base.rstrip('/')}/v1/{signal}"

    def _env_headers(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self._env("HEADERS").split(",") if "=" in pair)
        return {name.strip(): unquote(value.strip()) for name, _, value in pairs}

    def post(self, message: bytes) -> None:
        """Tries again where the receiver asks for that; raises ExportFailed in the end."""
        headers = self._headers
        if self._gzip:
            message, headers = gzip.compress(message, 3), {**headers, "content-encoding": "gzip"}
        said = ""
        for delay in (*_DELAYS, None):
            status, said = self._once(message, headers)
            if 200 <= status < 300:
                return
            if delay is None or (status and status not in _AGAIN) or self._closed.wait(delay):
                break
        raise ExportFailed(f"{self.url}: {said}")

    def _once(self, message: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        try:
            # The answer's body is not read: a receiver may not keep us busy with one.
            with self._client.stream("POST", self.url, content=message, headers=headers) as response:
                return response.status_code, f"status {response.status_code}"
        except httpx.HTTPError as error:
            return 0, str(error) or type(error).__name__

    def close(self) -> None:
        self._closed.set()
        self._client.close()


class OtlpSpans:
    """Exporter of spans: `OtlpSpans(OtlpHttp("traces", endpoint="http://localhost:4318"))`."""

    def __init__(self, http: OtlpHttp, *, service: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._http = http
        self._resource = wire.resource(described(service, environ))

    def send(self, spans: Iterable[Span]) -> None:
        self._http.post(wire.spans(spans, self._resource))

    def close(self) -> None:
        self._http.close()


class OtlpLogs:
    """Sink of audit lines: each is one log record whose body is the line."""

    def __init__(self, http: OtlpHttp, *, service: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._http = http
        self._resource = wire.resource(described(service, environ))

    def write(self, lines: list[bytes]) -> None:
        self._http.post(wire.logs([line.rstrip(b"\n") for line in lines], self._resource, b"gateway.audit"))

    def close(self) -> None:
        self._http.close()


def described(service: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The attributes of this process, as the specification's environment variables and the file name it."""
    pairs = (
        pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in pair
    )
    found = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    found["service.name"] = (
        service or environ.get("OTEL_SERVICE_NAME") or found.get("service.name") or "gateway"
    )
    return found
