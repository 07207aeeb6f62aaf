"""The table that people read, and the one line that a graph is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from measure import Row


def table(rows: Sequence[Row], absences: Mapping[str, str], problems: Sequence[str]) -> str:
    lines = []
    for name in dict.fromkeys(row.row for row in rows):
        own = [row for row in rows if row.row == name]
        nginx = {row.connections: row.cpu_us for row in own if row.peer == "nginx"}
        lines += ["", f"### {name}", "",
                  "| | connections | a second | CPU µs | × nginx | p50 ms | p99 ms | MB | others |", "|---|" + "---:|" * 8]  # fmt: skip
        lines += [_line(row, nginx.get(row.connections, 0.0)) for row in own]
    lines += ["", *(f"not measured: {name}: {reason}" for name, reason in absences.items())]
    lines += [f"FAILED: {problem}" for problem in problems]
    return "\n".join(lines)


def guards(found: Mapping[str, float]) -> str:
    lines = ["", "### guard", "", "| | CPU ms |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {name} | {value:,.2f} |" for name, value in found.items())])


def _line(row: Row, nginx: float) -> str:
    ratio = f"{row.cpu_us / nginx:.1f}" if nginx and row.cpu_us else ""
    bad = f" ({row.bad} bad)" if row.bad else ""
    return (f"| {row.peer}{bad} | {row.connections} | {row.rate:,.0f} | {row.cpu_us:,.0f} | {ratio} | {row.p50:.2f} | "
            f"{row.p99:.2f} | {row.memory:.0f} | {row.others:.1f} |")  # fmt: skip


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Only what could be measured. `throughput` is requests a second of one core: the inverse of CPU time."""
    out: dict[str, float] = {}

    def ratio(name: str, over: Row | None, under: Row | None) -> None:
        if over is not None and under is not None and under.cpu_us:
            out[name] = round(over.cpu_us / under.cpu_us, 2)

    ours = _find(rows, "gateway", "json")
    ratio("cpu_vs_nginx", ours, _find(rows, "nginx", "json"))
    ratio(
        "cpu_vs_nginx_sqlite", _find(rows, "gateway, limits in SQLite", "json"), _find(rows, "nginx", "json")
    )
    ratio("throughput_vs_litellm", _find(rows, "litellm", "json"), ours)
    ratio("throughput_vs_litellm_tuned", _find(rows, "litellm-tuned", "json"), ours)
    ratio("throughput_vs_tensorzero", _find(rows, "tensorzero", "chat"), _find(rows, "gateway", "chat"))
    ratio(
        "streams_vs_nginx",
        _find(rows, "gateway", "stream", most=True),
        _find(rows, "nginx", "stream", most=True),
    )
    ratio("streams_vs_litellm", _find(rows, "litellm", "stream"), _find(rows, "gateway", "stream"))
    ratio("mcp_vs_fastmcp", _find(rows, "fastmcp", "mcp"), _find(rows, "gateway", "mcp"))
    for size in ("60k", "400k"):
        ratio(
            f"cpu_vs_nginx_{size}",
            _find(rows, "gateway", f"json-{size}"),
            _find(rows, "nginx", f"json-{size}"),
        )
    direct, through = (_find(rows, name, "stream", most=False) for name in ("direct", "gateway"))
    if direct is not None and through is not None:
        out["ttfb_added_ms"] = round(through.p50 - direct.p50, 3)
    for name in ("json", "stream", "mcp"):
        found = _find(rows, "gateway", name, most=True if name == "stream" else None)
        if found is not None:
            out[f"cpu_us_{name}"] = round(found.cpu_us, 1)
    return out


def _find(rows: Sequence[Row], peer: str, row: str, *, most: bool | None = None) -> Row | None:
    """At the middle load; `most`: at the highest, or at one connection."""
    found = sorted(
        (each for each in rows if each.peer == peer and each.row == row), key=lambda each: each.connections
    )
    if not found:
        return None
    if most is None:
        return found[min(1, len(found) - 1)]
    return found[-1] if most else found[0]
