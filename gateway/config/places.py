"""What a place cannot run: on Lambda nothing lives between two calls, no disk is shared, and the package's own is read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.load import Loaded

Section = Mapping[str, Any]


def unfit_for_lambda(loaded: Loaded) -> list[str]:
    """Every reason, with its line."""
    found = [*_store(loaded.data), *_audit(loaded.data), *_programs(loaded.data)]
    return [f"{loaded.source}:{loaded.lines.get(where, 1)}: {text}" for where, text in found]


def _store(file: Section) -> Iterator[tuple[str, str]]:
    if file.get("store", "memory:").startswith("sqlite:"):
        yield "store", "store: SQLite does not fit Lambda, where no disk is shared; use dynamodb://TABLE"


def _audit(file: Section) -> Iterator[tuple[str, str]]:
    name = ((file.get("telemetry") or {}).get("audit") or {}).get("file", "-")
    if name != "-" and not name.startswith("/tmp/"):  # noqa: S108 - the one folder of Lambda that can be written
        yield (
            "telemetry.audit.file",
            (
                "telemetry.audit.file: no file is kept on Lambda; file: - writes to the function's log, otlp to a collector"
            ),
        )


def _programs(file: Section) -> Iterator[tuple[str, str]]:
    for number, route in enumerate(file["routes"]):
        for name, server in (route.get("mcp") or {}).get("servers", {}).items():
            if "command" in server:
                where = f"routes[{number}].mcp.servers.{name}.command"
                yield (
                    where,
                    (
                        f"mcp.servers.{name}: a command cannot run on Lambda, where nothing lives between two calls; "
                        "serve it elsewhere and give its url"
                    ),
                )
