"""The spans of a finished call: the request, its policies, its operations, and each attempt at an upstream.

Names and attributes follow OpenTelemetry's conventions for HTTP, GenAI and MCP, beside those that the gateway's users know.
Built outside the request, from references that the request left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct

from gateway.call import Call, Phase, Verdict
from gateway.metering.record import Record
from gateway.telemetry.w3c import new_span_id, new_span_ids

INTERNAL, SERVER, CLIENT = 1, 2, 3
Masked = Callable[[Any], Any]
Value = str | bool | int | float | tuple[str, ...]
_PROVIDERS = {"vertex": "gcp.vertex_ai", "gemini": "gcp.gemini", "bedrock": "aws.bedrock"}
_OPERATIONS = {
    "messages": "chat", "chat": "chat", "responses": "chat", "generate": "generate_content",
    "embeddings": "embeddings",
}  # fmt: skip


class Link(Struct, frozen=True, gc=False):
    trace_id: str
    span_id: str


class Span(Struct, frozen=True, gc=False):
    trace_id: str
    span_id: str
    parent: str
    name: str
    kind: int
    started: int  # nanoseconds since the epoch
    ended: int
    attributes: Mapping[str, Value]
    error: str = ""  # "" is success
    links: tuple[Link, ...] = ()


class Ended(Struct, frozen=True, gc=False):
    """What is kept of a call for its spans: references only."""

    trace_id: str
    span_id: str
    parent: str
    at: float
    started: int
    ended: int
    path: str
    route: str
    dialect: str
    ip: str
    status: int
    error: str
    records: Sequence[Record]
    verdicts: Sequence[Verdict]
    phases: Sequence[Phase]
    links: tuple[Link, ...]
    body: bytes | None = None  # only where content was asked for

    @classmethod
    def of(
        cls,
        call: Call,
        records: Sequence[Record],
        ended: int,
        links: tuple[Link, ...] = (),
        *,
        body: bytes | None = None,
    ) -> Ended:
        refusal = call.refusal
        error = refusal.kind if refusal else str(call.status) if call.status >= 500 else ""
        return cls(
            call.trace_id, call.span_id, call.parent_span_id, call.at, call.started, ended, call.path, call.route,
            call.dialect, call.ip, call.status, error, records, call.verdicts, call.phases, links, body,
        )  # fmt: skip

    def clock(self, instant: int) -> int:
        """perf_counter_ns as nanoseconds since the epoch."""
        return int(self.at * 1e9) + instant - self.started


def of(ended: Ended, *, arguments: Masked | None = None, content: Masked | None = None) -> list[Span]:
    """All spans of one call, the request first. `arguments` masks tool arguments, `content` prompts; without them they
    stay away."""
    prompt = _prompt(ended, content)
    operations = [
        _operation(ended, record, arguments, prompt) for record in ended.records if record.kind != "http"
    ]
    parent = operations[0].span_id if len(operations) == 1 else ended.span_id
    zero = ended.clock(0)
    ids = new_span_ids(len(ended.phases))
    phases = [_phase(ended, phase, id, parent, zero) for phase, id in zip(ended.phases, ids, strict=True)]
    return [_request(ended), *operations, *phases]


def verdict(verdicts: Sequence[Verdict]) -> str:
    """The gravest of them, as the one word that people filter by."""
    actions = {said.action for said in verdicts}
    for action, word in (
        ("refuse", "blocked"),
        ("would_refuse", "would_block"),
        ("mask", "masked"),
        ("audit", "flagged"),
    ):
        if action in actions:
            return word
    return "allowed"


def _request(ended: Ended) -> Span:
    attributes: dict[str, Value] = {
        "http.route": ended.route, "url.path": ended.path, "http.response.status_code": ended.status,
        "client.address": ended.ip, "gateway.dialect": ended.dialect,
        "gateway.verdict": verdict(ended.verdicts), **_who(ended.records[0]),
    }  # fmt: skip
    if ended.error:
        attributes["error.type"] = ended.error
    rules = tuple([f"{v.policy}: {v.rule}" for v in ended.verdicts if v.action != "allow" and v.rule])
    if rules:
        attributes["gateway.rules"] = rules
    return Span(
        ended.trace_id, ended.span_id, ended.parent, f"{ended.dialect} {ended.route or ended.path}", SERVER,
        ended.clock(ended.started), ended.clock(ended.ended), attributes, ended.error, ended.links,
    )  # fmt: skip


def _prompt(ended: Ended, content: Masked | None) -> dict[str, str]:
    if content is None or ended.body is None:
        return {}
    from gateway.telemetry.content import attributes

    return attributes(ended.body, content)


def _operation(ended: Ended, record: Record, arguments: Masked | None, prompt: Mapping[str, str]) -> Span:
    attributes = {**_model(record), **prompt} if record.kind == "llm" else _tool(record, arguments)
    attributes["gateway.verdict"] = "blocked" if record.outcome == "refused" else verdict(ended.verdicts)
    attributes |= _who(record)
    failed = record.outcome not in ("ok", "client_gone")
    error = (record.reason or record.outcome) if failed else ""
    if error:
        attributes["error.type"] = error
    for name, value in record.labels.items():
        attributes[f"gateway.label.{name}"] = value
    start = int(record.at * 1e9) if record.at else ended.clock(ended.started)
    name = f"{attributes.get('gen_ai.operation.name') or record.method} {record.model or record.tool}".strip()
    if record.kind == "mcp":
        name = f"{record.method} {record.tool}".strip()
    return Span(
        ended.trace_id, _own_id(record, ended), ended.span_id, name, CLIENT,
        start, start + int(record.duration_ms * 1e6), attributes, error, ended.links,
    )  # fmt: skip


def _own_id(record: Record, ended: Ended) -> str:
    """An operation is a span below the request's, also where its record only names the request's."""
    return record.span_id if record.span_id not in ("", ended.span_id) else new_span_id()


def _model(record: Record) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": _OPERATIONS.get(record.method, record.method),
        "gen_ai.provider.name": _PROVIDERS.get(record.provider, record.provider),
        "gen_ai.request.model": record.model,
        "gen_ai.response.model": record.upstream_model or record.model,
        "gateway.cost.usd": record.usd,
        "gateway.attempts": record.attempts,
    }
    if record.usage is not None:
        attributes |= {
            "gen_ai.usage.input_tokens": record.usage.prompt,
            "gen_ai.usage.output_tokens": record.usage.output,
            "gen_ai.usage.cache_read.input_tokens": record.usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": record.usage.cache_write
            + record.usage.cache_write_1h,
        }
    if record.first_byte_ms:
        attributes["gen_ai.response.time_to_first_chunk"] = record.first_byte_ms / 1e3
    return attributes


def _tool(record: Record, arguments: Masked | None) -> dict[str, Value]:
    attributes: dict[str, Value] = {"mcp.method.name": record.method, "mcp.server.id": record.server}
    if record.tool:
        attributes |= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": record.exposed or record.tool,
            "mcp.tool.name": record.tool,
        }
    if record.tool_use_id:
        attributes["gen_ai.tool.call.id"] = record.tool_use_id
    if arguments is not None and record.arguments is not None:
        attributes["mcp.arguments"] = orjson.dumps(arguments(record.arguments), default=str).decode()
    return attributes


def _who(record: Record) -> dict[str, Value]:
    found: dict[str, Value] = {"user.id": record.user or record.principal}
    if record.session:
        found |= {"session.id": record.session, "gen_ai.conversation.id": record.session}
    if record.agent:
        found["gen_ai.agent.name"] = record.agent
    return found


def _phase(ended: Ended, phase: Phase, id: str, operation: str, zero: int) -> Span:
    name, detail = phase.name, phase.detail
    parent, kind = (operation, CLIENT) if name == "attempt" else (ended.span_id, INTERNAL)
    return Span(
        ended.trace_id, id, parent, name, kind, zero + phase.started, zero + phase.ended, _named(name, detail)
    )  # fmt: skip


@lru_cache(maxsize=256)
def _named(name: str, detail: str) -> Mapping[str, Value]:
    return {"gateway.phase": name, "gateway.detail": detail} if detail else {"gateway.phase": name}
