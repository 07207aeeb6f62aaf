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
    kind: str  # llm | mcp | http
    method: str
    route: str
    outcome: Outcome
    status: int = 0
    principal: str = ""
    user: str = ""
    agent: str = ""
    project: str = ""
    session: str = ""
    groups: tuple[str, ...] = ()
    provider: str = ""
    model: str = ""  # as asked for
    upstream_model: str = ""  # as sent and billed
    first_byte_ms: float = 0.0
    attempts: int = 0
    labels: Mapping[str, str] = {}
    trace_id: str = ""
    span_id: str = ""
    usage: Usage | None = None
    usd: float = 0.0
    priced: bool = True  # False: no price is known, the ceiling was charged
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    tool_uses: tuple[str, ...] = ()  # those that the model asked for
    server: str = ""
    tool: str = ""
    exposed: str = ""
    tool_use_id: str = ""
    arguments: Any = None  # masked; only for the audit
    policy: str = ""  # of a refusal: which policy, which rule, why
    rule: str = ""
    reason: str = ""
    findings: tuple[
        str, ...
    ] = ()  # what policies said beside `allow`: "guard mask secrets"; alike ones once a call
