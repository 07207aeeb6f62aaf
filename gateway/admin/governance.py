"""What the policies are: limits, kill switches, the configuration, and a place to try a rule."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gateway import refusals
from gateway.admin.request import Request, missing
from gateway.errors import ConfigError, Refused
from gateway.policy import switches
from gateway.policy.switches import Switch
from gateway.stores.protocols import Store
from gateway.telemetry.audit import Audit
from gateway.telemetry.masking import MASKED, SECRET_NAMES, Masking
from gateway.telemetry.recent import Recent

Standings = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
_USERINFO: Final = re.compile(r"(://)[^/@\s]+@")
_REFERENCES: Final = ("${", "file:", "ssm:", "secretsmanager:")


class Governance:
    """`standings()` gives `{limit, who, used, of, unit, resets}` for each bucket in use, the fullest first."""

    def __init__(
        self,
        store: Store,
        recent: Recent,
        *,
        masking: Masking,
        audit: Audit | None = None,
        configuration: Callable[[], Mapping[str, Any]] = dict,
        standings: Standings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._recent = recent
        self._masking = masking
        self._audit = audit
        self._configuration = configuration
        self._standings = standings
        self._clock = clock

    async def limits(self, request: Request) -> dict[str, Any]:
        return {"limits": list(await self._standings()) if self._standings is not None else None}

    async def switches(self, request: Request) -> dict[str, Any]:
        found = await switches.thrown(self._store)
        return {"kinds": switches.KINDS, "switches": [switch.document() for switch in found]}

    async def throw(self, request: Request) -> dict[str, Any]:
        kind, name = request.text("kind"), request.text("name")
        if kind not in switches.KINDS:
            raise Refused(refusals.invalid(f"kind: one of {', '.join(switches.KINDS)}"))
        now, minutes = self._clock(), request.body.get("minutes")
        if minutes is not None and (not isinstance(minutes, int | float) or minutes <= 0):
            raise Refused(refusals.invalid("minutes: a number above 0, or nothing"))
        until = now + minutes * 60 if minutes else None
        switch = Switch(kind, name, request.text("reason", default=""), until, now)
        await switches.throw(self._store, switch)
        self._note(request, "kill", switch.key, switch.reason)
        return switch.document()

    async def restore(self, request: Request) -> dict[str, Any]:
        kind, name = request.text("kind"), request.text("name")
        if not await switches.restore(self._store, kind, name):  # type: ignore[arg-type]
            raise missing(f"switch {kind}:{name}")
        self._note(request, "restore", f"{kind}:{name}", request.text("reason", default=""))
        return {"restored": f"{kind}:{name}"}

    async def configuration(self, request: Request) -> Any:
        return hidden(self._configuration())

    async def playground(self, request: Request) -> dict[str, Any]:
        """An expression against one of the newest calls. It reads; nothing is changed."""
        from gateway.admin import past  # CEL costs 0.16 s to import
        from gateway.policy import cel

        seen = self._recent.find(request.text("call"))
        if seen is None:
            raise missing("call of that id among the newest of this process")
        try:
            expression = cel.compile(request.text("expression"))
        except ConfigError as error:
            return {"answer": "error", "why": str(error), "reads": []}
        then = past.of_seen(seen, self._masking)
        answer, why = past.answer(expression, then)
        reads = [{"path": ".".join(path), "value": past.shown(path, then)} for path in expression.reads]
        return {"answer": answer, "why": why, "reads": reads}

    def _note(self, request: Request, action: str, target: str, reason: str) -> None:
        if self._audit is not None:
            self._audit.action("admin", action, target=target, reason=reason, ip=request.visitor.ip)


def hidden(value: Any, name: str = "", parent: str = "") -> Any:
    """A configuration without its secrets: what a name says is secret shows as stars, unless it only says where it is."""
    if isinstance(value, Mapping):
        return {str(key): hidden(inner, str(key), name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inner, name, parent) for inner in value]
    if not isinstance(value, str) or not value or value.startswith(_REFERENCES):
        return value
    return (
        MASKED if _secret(name.lower().replace("-", "_"), parent) else _USERINFO.sub(rf"\1{MASKED}@", value)
    )


def _secret(name: str, parent: str) -> bool:
    if parent in ("headers", "env") or (name == "key" and parent == "keys"):
        return True
    return name in SECRET_NAMES or name.endswith(("_key", "_secret", "_token", "_password"))
