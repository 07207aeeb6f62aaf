"""What became of one operation: the row of the ledger, and all that metrics, audit and the page are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.metering.usage import Usage

Outcome = Literal["ok", "tool_error", "refused", "timeout", "upstream_error", "client_gone", "error"]


def outcome_of(status: int, *, policy: str = "") -> Outcome:
    """What a refusal with this status amounts to. Without a policy nobody decided it: something failed."""
    if policy:
        return "refused"
    if status == 504:
        return "timeout"
    return "upstream_error" if status >= 500 or status == 429 else "error"


class Record(msgspec.Struct, omit_defaults=True, gc=False):  # made and encoded for every operation
    id: str  # unique: a ledger write may be repeated, and counts once
    call: str  # Call.id
    at: float  # seconds since the epoch
    # What it shares with many others (`stores.lines` keeps that once, and counts on this order).
    kind: str  # llm | mcp | http
    method: str
    route: str
    outcome: Outcome
    status: int = 0
    principal: str = ""
    user: str = ""
    agent: str = ""
    project: str = ""
    groups: tuple[str, ...] = ()
    provider: str = ""
    model: str = ""  # as asked for
    upstream_model: str = ""  # as sent and billed
    server: str = ""
    tool: str = ""
    exposed: str = ""
    policy: str = ""  # of a refusal: which policy, which rule, why
    findings: tuple[str, ...] = ()  # what policies said beside `allow` ("guard mask secrets"), once a call
    priced: bool = True  # False: no price is known, the ceiling was charged
    labels: Mapping[str, str] = {}
    # What is its own.
    session: str = ""
    usage: Usage | None = None
    usd: float = 0.0
    first_byte_ms: float = 0.0
    attempts: int = 0
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    trace_id: str = ""
    span_id: str = ""
    tool_uses: tuple[str, ...] = ()  # those that the model asked for
    tool_use_id: str = ""
    rule: str = ""
    reason: str = ""
    arguments: Any = None  # masked; only for the audit
