"""The audit: one line for every tool call, model call and admin action, encoded and chained outside the request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from msgspec import UNSET, Struct, defstruct

from gateway.call import Call, Principal, Verdict
from gateway.metering.record import Record
from gateway.telemetry import outcomes
from gateway.telemetry.background import Background
from gateway.telemetry.chain import Chain
from gateway.telemetry.log import Line
from gateway.telemetry.masking import Masking
from gateway.telemetry.sinks import Sink

CLAIMS: Final = ("iss", "sub", "email", "email_verified", "role", "roles", "groups", "org", "scope", "azp")
HEADERS: Final = ("user-agent", "x-claude-code-session-id", "x-solo-org")
CALLERS: Final = 1024  # of whom is remembered what a line says of them
# What a record has and an audit line needs, under the same name.
KEPT: Final = (
    "id", "call", "kind", "method", "route", "outcome", "status", "principal", "user", "agent", "project", "session",
    "provider", "model", "upstream_model", "server", "tool", "exposed", "tool_use_id", "usd", "policy", "rule", "reason",
    "bytes_in", "bytes_out", "attempts", "trace_id",
)  # fmt: skip
_EMPTY: Final = {"status": 0, "usd": 0, "bytes_in": 0, "bytes_out": 0, "attempts": 0}
_kept = attrgetter(*KEPT)
# In the order in which a line has them; what is empty is left out.
_Entry = defstruct(
    "_Entry",
    [
        ("at", float), ("event", str), *((name, Any, _EMPTY.get(name, "")) for name in KEPT), ("ms", float, 0),
        ("path", str, ""), ("dialect", str, ""), ("ip", str, ""), ("caller", dict[str, Any], {}),
        ("tokens", dict[str, int], {}), ("labels", Mapping[str, str], {}), ("arguments", Any, UNSET),
        ("verdicts", list[dict[str, str]], []), ("headers", Any, None), ("kept", Any, UNSET),
    ],
    omit_defaults=True,
    gc=False,
)  # fmt: skip


class Noted(Struct, frozen=True, gc=False):
    """What the request leaves for its line: references, and not the body."""

    record: Record
    principal: Principal
    ip: str
    path: str
    dialect: str
    headers: Mapping[str, str]
    verdicts: Sequence[Verdict]


class Audit:
    """Observer that writes what was done, by whom, and what the policies said of it.

    `Audit(FileSink("audit.jsonl"), masking=Masking(["content"]))`. `claims` and `headers` are those written down: a replay
    against another configuration can decide nothing that reads others.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        masking: Masking | None = None,
        claims: Sequence[str] = CLAIMS,
        headers: Sequence[str] = HEADERS,
        key: bytes = b"",
        after: str = "",
        size: int = 8192,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sink = sink
        self._masking = masking or Masking()
        self._claims = tuple(claims)
        self._headers = tuple(headers)
        usual = (self._claims, self._headers) == (CLAIMS, HEADERS)
        # What a replay may rely upon.
        self._kept = UNSET if usual else {"claims": self._claims, "headers": self._headers}
        # By identity: each holds its principal, so that no other can be mistaken for it.
        self._callers: dict[int, tuple[Principal, dict[str, Any]]] = {}
        self._chain = Chain(after=after, key=key)
        self._clock = clock
        self._lost = 0
        self.queue: Background[Noted | dict[str, Any]] = Background(self._write, name="audit", size=size)

    def finished(self, call: Call) -> None:
        for record in outcomes.of(call):
            # Health checks and other traffic that is neither a model's nor a tool's is no business of the audit's.
            if record.kind != "http" or record.outcome == "refused":
                self.queue.put(
                    Noted(
                        record, call.principal, call.ip, call.path, call.dialect, call.headers, call.verdicts
                    )
                )

    def action(
        self,
        actor: str,
        action: str,
        *,
        target: str = "",
        reason: str = "",
        outcome: str = "ok",
        ip: str = "",
    ) -> None:
        """Something an administrator did, or tried to do."""
        self.queue.put(
            {"at": self._clock(), "event": "admin", "user": actor, "action": action, "target": target,
             "reason": reason, "outcome": outcome, "ip": ip}
        )  # fmt: skip

    def close(self) -> None:
        self.queue.close()
        self._sink.close()

    def _write(self, batch: list[Noted | dict[str, Any]]) -> None:
        entries: list[Line] = [self._entry(item) if isinstance(item, Noted) else item for item in batch]
        lost = self.queue.dropped - self._lost
        if lost:
            self._lost += lost
            entries.append({"at": self._clock(), "event": "lost", "count": lost})
        self._sink.write(self._chain.lines(entries))

    def _entry(self, noted: Noted) -> Struct:
        record, usage, headers = noted.record, noted.record.usage, noted.headers
        return _Entry(
            round(record.at, 3), "call", *_kept(record), round(record.duration_ms, 3), noted.path, noted.dialect, noted.ip,
            self._caller(noted.principal),
            {} if usage is None else {"input": usage.prompt, "output": usage.output},
            record.labels,
            UNSET if record.arguments is None else self._masking(record.arguments),
            [said(verdict) for verdict in noted.verdicts],
            {name: headers[name] for name in self._headers if name in headers},
            self._kept,
        )  # fmt: skip

    def _caller(self, principal: Principal) -> dict[str, Any]:
        """Principals are remembered by those who know them, so the same one comes again and again."""
        known = self._callers.get(id(principal))
        if known is None:
            if len(self._callers) >= CALLERS:
                self._callers.clear()
            known = self._callers[id(principal)] = (principal, caller(principal, self._claims))
        return known[1]


def caller(principal: Principal, claims: Sequence[str]) -> dict[str, Any]:
    """Who it was, as far as rules may want to know again."""
    found: dict[str, Any] = {"id": principal.id, "kind": principal.kind, "name": principal.name}
    found |= {"groups": list(principal.groups), "scopes": sorted(principal.scopes)}
    if principal.claims is not None:
        found["claims"] = {name: principal.claims[name] for name in claims if name in principal.claims}
    if principal.key is not None:
        found["key"] = principal.key.get("id", "")
    return found


@lru_cache(maxsize=1024)
def said(verdict: Verdict) -> dict[str, str]:
    named = {
        "policy": verdict.policy,
        "action": verdict.action,
        "rule": verdict.rule,
        "reason": verdict.reason,
    }
    return {name: value for name, value in named.items() if value}
