"""From the `telemetry` of the file to the observers of every call."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.config.build_traces import traces
from gateway.config.resources import Resources
from gateway.config.routes import policies_of
from gateway.errors import ConfigError
from gateway.middleware.access import Observer
from gateway.telemetry.access import AccessLog, TextLines
from gateway.telemetry.log import LINGER, LineWriter
from gateway.types import App

if TYPE_CHECKING:
    from gateway.telemetry.audit import Audit
    from gateway.telemetry.background import Background
    from gateway.telemetry.sinks import Sink
    from gateway.telemetry.traces import Traces

Section = Mapping[str, Any]


class Telemetry(Struct, frozen=True):
    observers: list[Observer]
    tracer: Traces | None
    metrics: App | None
    audit: Audit | None

    @property
    def queues(self) -> list[Background[Any]]:
        """What waits for its receivers."""
        return [each.queue for each in (self.tracer, self.audit) if each is not None]


def telemetry(file: Section, folder: Path, resources: Resources) -> Telemetry:
    section: Section = file.get("telemetry") or {}
    observers: list[Observer] = []
    metrics = None
    if _metered(file, resources):
        observer, metrics = _metrics(section.get("metrics") or {}, file, resources)
        observers.append(observer)
    tracer = traces(section.get("traces"), resources)
    audit = _audit(section.get("audit"), folder, resources)
    log, emf = _log(section.get("log", "json"), resources), _emf(section.get("metrics") or {}, resources)
    if metrics is not None:
        _watched(observers[0], {"traces": tracer, "audit": audit}, file, resources)
    observers += [each for each in (tracer, audit, log, emf) if each is not None]
    return Telemetry(observers, tracer, metrics, audit)


def _metered(file: Section, resources: Resources) -> bool:
    if resources.serverless:
        return False  # the platform's own metrics, and embedded ones in the log
    return bool((file.get("listen") or {}).get("metrics", True))


def _metrics(section: Section, file: Section, resources: Resources) -> tuple[Observer, App]:
    from gateway.telemetry.metrics import Metrics
    from gateway.telemetry.scrape import MetricsApp

    policies = [file.get("policies") or {}, *(route.get("policies") or {} for route in file["routes"])]
    labels = sorted({name for each in policies for name in (each.get("usage") or {}).get("labels", {})})
    prefix = section.get("prefix", "gateway")
    named = "" if prefix == "gateway" else prefix
    observer = resources.once("metrics", [labels, named], lambda: Metrics(labels=labels, prefix=named))
    return observer, MetricsApp(observer.registry)


def _watched(metrics: Any, queues: Mapping[str, Any], file: Section, resources: Resources) -> None:
    """What limiters and queues count by themselves is shown as well; each is watched once, however often a file is read."""
    for route in file["routes"]:
        policies = policies_of(file, route)
        meter = resources.meter(policies.get("usage") or {})
        resources.once("watched", [id(metrics), id(meter)], partial(metrics.watch_drops, "ledger", meter))
        limiter = resources.limiter(policies)
        if limiter is not None:
            resources.once(
                "watched", [id(metrics), id(limiter)], partial(metrics.watch_limits, limiter.counters)
            )
        if section := (route.get("llm") or {}).get("cache"):
            cache = resources.cache(section)
            resources.once("watched", [id(metrics), id(cache)], partial(metrics.watch_cache, cache.counters))
    for signal, made in queues.items():
        if made is not None:
            resources.once(
                "watched", [id(metrics), id(made)], partial(metrics.watch_drops, signal, made.queue)
            )


def _emf(section: Section, resources: Resources) -> Observer | None:
    if not section.get("emf"):
        return None
    from gateway.telemetry.emf import EmbeddedMetrics

    return EmbeddedMetrics(_lines("emf", resources))


def _audit(section: Section | None, folder: Path, resources: Resources) -> Audit | None:
    if section is None:
        return None
    if "otlp" in section and "file" in section:
        raise ConfigError("telemetry.audit: either file or otlp; a collector can write files as well")
    from gateway.telemetry.masking import Masking, credential

    if secret := next(filter(credential, section.get("headers", ())), None):
        raise ConfigError(f"telemetry.audit.headers: {secret} may carry a credential, which is never written")
    if resources.dry:
        return None
    from gateway.telemetry.audit import Audit

    def make() -> Audit:
        sink, after = _sink(section, folder)
        written = {key: section[key] for key in ("claims", "headers") if key in section}
        masking = Masking(section.get("mask", ()))
        return Audit(sink, masking=masking, key=section.get("key", "").encode(), after=after, **written)

    return resources.once("audit", section, make)


def _sink(section: Section, folder: Path) -> tuple[Sink, str]:
    """Where the lines go, and the hash of the last that stands there."""
    from gateway.telemetry.sinks import FdSink, FileSink, last_hash

    if "otlp" in section:
        from gateway.telemetry.otlp import OtlpHttp, OtlpLogs

        return OtlpLogs(OtlpHttp("logs", **section["otlp"])), ""
    name = section.get("file", "-")
    if name == "-":
        return FdSink(1), ""
    bounds = {key: section[key] for key in ("max_bytes", "retention") if key in section}
    return FileSink(folder / name, **bounds), last_hash(folder / name)


def _log(kind: str, resources: Resources) -> Observer | None:
    if kind == "off":
        return None
    if kind == "text":
        return AccessLog(TextLines(sys.stdout.write))
    return AccessLog(_lines(kind, resources))


def _lines(kind: str, resources: Resources) -> LineWriter:
    """On Lambda a line that waits would be frozen."""
    linger = 0.0 if resources.serverless else LINGER
    return resources.once("log", kind, lambda: LineWriter(1, linger=linger))
