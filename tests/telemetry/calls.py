"""Finished calls as the stack would leave them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gateway.call import Attribution, Call, Operation, Principal, Verdict
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.refusals import forbidden

ALICE = Principal(
    "jwt:https://idp.example#alice", "jwt", "alice@example.com", ("engineering",),
    claims={"sub": "alice", "email": "alice@example.com", "role": "developer", "phone": "555-0100"},
)  # fmt: skip
USAGE = Usage(input=100, output=50, cache_read=1000, cache_write=200)
MODEL = Record("rec_1", "req_1", 1_000.0, "llm", "messages", "/", "ok", 200, ALICE.id, "alice@example.com",
               session="s-1", provider="anthropic", model="claude-opus-4-5", upstream_model="claude-opus-4-5-20251101",
               usage=USAGE, usd=0.25, duration_ms=1500.0, first_byte_ms=400.0, upstream_ms=1490.0)  # fmt: skip
TOOL = Record("rec_2", "req_2", 1_001.0, "mcp", "tools/call", "/mcp", "ok", 200, ALICE.id, "alice@example.com",
              session="s-1", server="filesystem", tool="read_file", exposed="filesystem_read_file",
              tool_use_id="toolu_1", duration_ms=30.0, arguments={"path": "/workspace/a.txt", "password": "hunter2"})  # fmt: skip


def call(*records: Record, **changes: Any) -> Call:
    """A call that is over, with these records."""
    first = records[0] if records else MODEL
    made = Call(
        id=first.call, at=first.at, started=1_000_000_000, path="/v1/messages", ip="10.1.2.3",
        dialect="mcp" if first.kind == "mcp" else "anthropic", route=first.route, status=first.status,
        principal=ALICE, attribution=Attribution(user="alice@example.com", session="s-1"),
        records=[replace(record) for record in records], operation=Operation("llm", "messages", model="claude-opus-4-5"),
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def model_call(**changes: Any) -> Call:
    return call(MODEL, **changes)


def tool_call(**changes: Any) -> Call:
    return call(TOOL, **changes)


def refused_call(**changes: Any) -> Call:
    record = replace(
        TOOL, outcome="refused", policy="authz", rule='mcp.tool.name == "delete_file"', reason="deny",
        tool="delete_file", exposed="delete_file", id="rec_3", call="req_3",
    )  # fmt: skip
    refusal = forbidden("you may not delete files", rule=record.rule)
    return call(
        record, refusal=refusal, verdicts=[Verdict("authz", "refuse", record.rule, "deny")], **changes
    )
