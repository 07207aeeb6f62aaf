"""Tools as the page shows them: how often they are called, how well that goes, what they cost, and whether they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from gateway import refusals
from gateway.admin.request import Request
from gateway.errors import Refused
from gateway.stores import rows
from gateway.stores.protocols import Store
from gateway.telemetry import toolcosts
from gateway.telemetry.audit import Audit
from gateway.telemetry.toolcosts import ToolCosts


class Pins(Protocol):
    """What `gateway pins` does, for the page."""

    async def pins(self) -> Sequence[Mapping[str, Any]]:
        """`{server, tool, status, digest, description, diff}`; status is approved, new or changed."""

    async def approve(self, server: str, tool: str, digest: str) -> bool:
        """Exactly the definition of this digest; False where that is not the one that waits."""


class Shelf:
    def __init__(
        self,
        store: Store,
        *,
        pins: Pins,
        costs: ToolCosts | None = None,
        audit: Audit | None = None,
    ) -> None:
        self._store = store
        self._pins = pins
        self._costs = costs
        self._audit = audit

    async def tools(self, request: Request) -> dict[str, Any]:
        since, until = request.window()
        totals = await self._store.usage(
            since=since, until=until, by=("server", "tool", "outcome"), where={**request.where(), "kind": "mcp"}
        )  # fmt: skip
        found: dict[tuple[str, str], dict[str, int]] = {}
        for total in totals:
            server, tool, outcome = total.group
            if tool:
                counts = found.setdefault((server, tool), {})
                counts[outcome] = counts.get(outcome, 0) + total.calls
        calls = [
            {"server": s, "tool": t, "calls": sum(c.values()), "outcomes": c} for (s, t), c in found.items()
        ]
        pins = list(await self._pins.pins())
        return {"tools": sorted(calls, key=lambda call: -call["calls"]), "pins": pins}

    async def approve(self, request: Request) -> dict[str, Any]:
        server, tool, digest = request.text("server"), request.text("tool"), request.text("digest")
        if not await self._pins.approve(server, tool, digest):
            message = f"{server}/{tool} has changed again, or waits no longer; look at it once more"
            raise Refused(refusals.invalid(message, status=409))
        if self._audit is not None:
            self._audit.action(
                "admin", "approve pin", target=f"{server}/{tool} {digest}", ip=request.visitor.ip
            )
        return {"approved": True}

    async def costs(self, request: Request) -> dict[str, Any]:
        """What each tool cost, the dearest first, and which were paid for and never called."""
        if self._costs is not None:
            await self._costs.save(self._store)
        since, until = request.window()
        found = await toolcosts.totals(self._store, since=rows.day(since), until=rows.day(until))
        tools = [
            {"server": t.server, "tool": t.tool, **asdict(t.cost), "usd": t.cost.usd, "tokens": t.cost.tokens,
             "last_called": t.last_called, "never_called": bool(t.cost.definition_tokens and not t.cost.calls)} for t in found
        ]  # fmt: skip
        (prompts,) = await self._store.usage(since=since, until=until, where={"kind": "llm"}) or (None,)
        paid = prompts.input + prompts.cache_read + prompts.cache_write if prompts else 0
        unused = [tool for tool in tools if tool["never_called"]]
        return {
            "days": max(1, round((until - since) / 86_400)), "tools": tools, "prompt_tokens": paid,
            "unused": {"tools": len(unused), "tokens": sum(t["tokens"] for t in unused), "usd": sum(t["usd"] for t in unused)},
        }  # fmt: skip
