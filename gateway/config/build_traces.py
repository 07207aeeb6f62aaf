"""From `telemetry.traces` of the file, and the environment that OpenTelemetry knows, to the tracer."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.config.resources import Resources
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.telemetry.traces import Exporter, Traces

log = logging.getLogger("gateway")
Section = Mapping[str, Any]
_RATIO: Final = ("traceidratio", "parentbased_traceidratio")
_OFF: Final = ("always_off", "parentbased_always_off")
_EXPORTERS: Final = ("otlp", "xray", "none")
_HTTP: Final = "http/protobuf"


def traces(section: Section | None, resources: Resources) -> Traces | None:
    wanted = {**told(os.environ), **(section or {})}
    if wanted["exporter"] == "none":
        return None
    from gateway.telemetry.masking import Masking
    from gateway.telemetry.traces import Traces

    def make() -> Traces:
        return Traces(
            _exporter(wanted),
            sample=wanted.get("sample", 1.0),
            arguments=Masking() if wanted.get("arguments") else None,
            content=Masking() if wanted.get("content") else None,
        )

    return resources.once("traces", wanted, make)


def told(environ: Mapping[str, str]) -> dict[str, Any]:
    """What OpenTelemetry's variables say, where the file says nothing."""
    found: dict[str, Any] = {"exporter": _named(environ), "protocol": _protocol(environ)}
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler in _OFF:
        found["sample"] = 0.0
    elif sampler in _RATIO:
        try:
            found["sample"] = min(1.0, max(0.0, float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 1)))
        except ValueError:
            log.warning("OTEL_TRACES_SAMPLER_ARG is not a number; every call is kept")
    return found


def _named(environ: Mapping[str, str]) -> str:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "none"
    name = environ.get("OTEL_TRACES_EXPORTER", "")
    if name in _EXPORTERS:
        return name
    if name:
        log.warning("OTEL_TRACES_EXPORTER=%s: name it as telemetry.traces.sdk instead", name)
    ends = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return "otlp" if any(environ.get(end) for end in ends) else "none"


def _protocol(environ: Mapping[str, str]) -> str:
    name = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    return "grpc" if name == "grpc" else _HTTP


def _exporter(section: Section) -> Exporter:
    if section["exporter"] == "xray":
        from gateway.telemetry.xray import XraySpans

        return XraySpans(service=section.get("service", "gateway"))
    if section["exporter"] == "sdk" or section["protocol"] == "grpc":
        return _by_sdk(section)
    from gateway.telemetry.otlp import OtlpHttp, OtlpSpans

    http = OtlpHttp("traces", endpoint=section.get("endpoint", ""), headers=section.get("headers"))
    return OtlpSpans(http, service=section.get("service", ""))


def _by_sdk(section: Section) -> Exporter:
    try:
        from gateway.telemetry import sdk
    except ImportError as error:
        raise ConfigError(f'telemetry.traces: needs pip install "asgi-gateway[otel]" ({error})') from None
    if section["exporter"] == "sdk":
        if "sdk" not in section:
            raise ConfigError("telemetry.traces: exporter: sdk needs sdk: package.module:ExporterClass")
        name, options = section["sdk"], section.get("options", {})
    else:
        name = sdk.GRPC
        options = {each: section[each] for each in ("endpoint", "headers") if each in section}
    return sdk.SdkSpans(sdk.made(name, options), service=section.get("service", ""))
