"""A registry as text for Prometheus (0.0.4) or OpenMetrics (1.0, with exemplars), in slices small enough for the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.telemetry.registry import Alias, Exemplar, Histogram, Labels, Registry

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SLICE = 40  # series
_ESCAPE = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def render(registry: Registry, *, openmetrics: bool = False) -> Iterator[str]:
    """The whole text, a slice at a time."""
    for before in registry.before:
        before()
    for family in registry.families:
        yield from _family(Alias(family.name, family, {}), openmetrics)
    for alias in registry.aliases:
        yield from _family(alias, openmetrics)
    if openmetrics:
        yield "# EOF\n"


def _family(shown: Alias, openmetrics: bool) -> Iterator[str]:
    name, family = shown.name, shown.family
    if not family.series:
        return
    plain = name.removesuffix("_total") if openmetrics and family.kind == "counter" else name
    lines = [f"# HELP {plain} {family.help}\n# TYPE {plain} {family.kind}\n"]
    names = [shown.renamed.get(label, label) for label in family.labels]
    for number, (labels, cell) in enumerate(list(family.series.items()), 1):
        pairs = _pairs(names, labels)
        if isinstance(family, Histogram):
            lines.append(_histogram(name, pairs, family, cell, openmetrics))
        else:
            lines.append(f"{name}{{{pairs}}} {cell[0]:.12g}\n" if pairs else f"{name} {cell[0]:.12g}\n")
        if number % SLICE == 0:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _pairs(names: list[str], labels: Labels) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPE)}"' for name, value in zip(names, labels, strict=True))


def _histogram(name: str, pairs: str, family: Histogram, cell: list[float], openmetrics: bool) -> str:
    counts, total = cell[:-1], cell[-1]
    exemplars = family.exemplars.get(id(cell), {}) if openmetrics else {}
    comma = "," if pairs else ""
    lines, running = [], 0.0
    for index, count in enumerate(counts):
        running += count
        edge = f"{family.buckets[index]:.12g}" if index < len(family.buckets) else "+Inf"
        note = _exemplar(exemplars[index]) if index in exemplars else ""
        lines.append(f'{name}_bucket{{{pairs}{comma}le="{edge}"}} {running:.12g}{note}\n')
    lines.append(f"{name}_sum{{{pairs}}} {total:.12g}\n{name}_count{{{pairs}}} {running:.12g}\n")
    return "".join(lines)


def _exemplar(exemplar: Exemplar) -> str:
    return f' # {{trace_id="{exemplar.trace_id}"}} {exemplar.value:.6g} {exemplar.at:.3f}'
