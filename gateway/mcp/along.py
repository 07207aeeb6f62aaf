"""What goes along with a call to its server: the context of our trace, and the arguments that are mirrored into headers."""

from __future__ import annotations

import re
import secrets

from gateway.call import Operation
from gateway.mcp import eras
from gateway.mcp.jsonrpc import Members
from gateway.mcp.tables import Entry
from gateway.mcp.turn import Turn
from gateway.types import Headers

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def parameter_headers(turn: Turn, op: Operation, entry: Entry, changed: Members | None) -> Headers:
    """A modern client's own headers pass as they are; for others, and for masked arguments, they are made."""
    if turn.peer.modern and op.subject == "tool" and (changed is None or "arguments" not in changed):
        return [pair for pair in turn.headers if pair[0].startswith(b"mcp-param-")]
    return eras.parameter_headers(entry.headers, op.arguments) if entry.headers else []


def traced(turn: Turn, op: Operation) -> str:
    """The context of our own span for the server, where the client sent one or a trace is recorded."""
    call = turn.call
    given = _TRACEPARENT.fullmatch(str(op.meta.get("traceparent"))) if op.meta else None
    if given is not None and "traceparent" not in call.headers:
        call.trace_id, call.parent_span_id = given[1], given[2]
        call.span_id = call.span_id or secrets.token_hex(8)
    return f"00-{call.trace_id}-{call.span_id}-01" if call.trace_id and call.span_id else ""
