"""The spans of a finished call: the request, its policies, its operations, and each attempt at an upstream.

Names and attributes follow OpenTelemetry's conventions for HTTP, GenAI and MCP, beside those that the gateway's users know.
Built outside the request, from references that the request left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson
from msgspec import Struct

from gateway.call import Call, Phase, Verdict
from gateway.metering.record import Record
from gateway.telemetry.w3c import new_span_id, new_span_ids

INTERNAL, SERVER, CLIENT = 1, 2, 3
SHAPES = 2048  # of each kind that are remembered
LONGEST_PATH = 1024  # characters: what is remembered must not be as long as callers like
_VERDICTS = ("allowed", "flagged", "masked", "would_block", "blocked")
_GRAVITY = {"allow": 0, "audit": 1, "mask": 2, "would_refuse": 3, "refuse": 4}
Masked = Callable[[Any], Any]
Value = str | bool | int | float | tuple[str, ...]
_PROVIDERS = {"vertex": "gcp.vertex_ai", "gemini": "gcp.gemini", "bedrock": "aws.bedrock"}
_OPERATIONS = {
    "messages": "chat", "chat": "chat", "responses": "chat", "generate": "generate_content",
    "embeddings": "embeddings",
}  # fmt: skip


NONE: Final[Mapping[str, Value]] = {}


class Link(Struct, frozen=True, gc=False):
    trace_id: str
    span_id: str


class Shape(Struct, frozen=True, eq=False, gc=False):
    """What many spans have in common. One is made once and then remembered, and an exporter may remember what it wrote of it."""

    name: str
    kind: int
    attributes: Mapping[str, Value]


class Span(Struct, frozen=True, gc=False):
    trace_id: str
    span_id: str
    parent: str
    shape: Shape
    started: int  # nanoseconds since the epoch
    ended: int
    own: Mapping[str, Value]  # attributes beside those of its shape
    error: str = ""  # "" is success
    links: tuple[Link, ...] = ()

    @property
    def attributes(self) -> dict[str, Value]:
        return {**self.shape.attributes, **self.own}


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
    prompt, said = _prompt(ended, content), verdict(ended.verdicts)
    operations = [
        _operation(ended, record, said, arguments, prompt)
        for record in ended.records
        if record.kind != "http"
    ]
    parent = operations[0].span_id if len(operations) == 1 else ended.span_id
    return [_request(ended, said), *operations, *_phases(ended, parent)]


def verdict(verdicts: Sequence[Verdict]) -> str:
    """The gravest of them, as the one word that people filter by."""
    gravest = 0
    for said in verdicts:
        gravest = max(gravest, _GRAVITY[said.action])
    return _VERDICTS[gravest]


def _request(ended: Ended, said: str) -> Span:
    first = ended.records[0]
    path = ended.path[:LONGEST_PATH]
    named = f"{ended.dialect} {ended.route or path}"
    user = first.user or first.principal
    shape = _request_shape(named, ended.route, ended.status, ended.ip, ended.dialect, said, user, first.agent)
    own: dict[str, Value] = {"url.path": path, **_session(first.session)}
    if ended.error:
        own["error.type"] = ended.error
    if said != _VERDICTS[0]:
        rules = tuple([f"{v.policy}: {v.rule}" for v in ended.verdicts if v.action != "allow" and v.rule])
        own |= {"gateway.rules": rules} if rules else {}
    return Span(
        ended.trace_id, ended.span_id, ended.parent, shape,
        ended.clock(ended.started), ended.clock(ended.ended), own, ended.error, ended.links,
    )  # fmt: skip


@lru_cache(maxsize=SHAPES)
def _request_shape(
    name: str, route: str, status: int, ip: str, dialect: str, said: str, user: str, agent: str
) -> Shape:
    attributes: dict[str, Value] = {
        "http.route": route, "http.response.status_code": status, "client.address": ip,
        "gateway.dialect": dialect, "gateway.verdict": said, **_caller(user, agent),
    }  # fmt: skip
    return Shape(name, SERVER, attributes)


def _prompt(ended: Ended, content: Masked | None) -> dict[str, str]:
    if content is None or ended.body is None:
        return {}
    from gateway.telemetry.content import attributes

    return attributes(ended.body, content)


def _operation(
    ended: Ended, record: Record, said: str, arguments: Masked | None, prompt: Mapping[str, str]
) -> Span:
    user, agent = record.user or record.principal, record.agent
    said = "blocked" if record.outcome == "refused" else said
    if record.kind == "llm":
        answered = record.upstream_model or record.model
        shape = _model_shape(record.method, record.provider, record.model, answered, said, user, agent)
        own = {**_session(record.session), **_used(record), **prompt}
    else:
        shape = _tool_shape(record.method, record.server, record.tool, record.exposed, said, user, agent)
        own = {**_session(record.session), **_asked(record, arguments)}
    error = "" if record.outcome in ("ok", "client_gone") else record.reason or record.outcome
    if error:
        own["error.type"] = error
    for name, value in record.labels.items():
        own[f"gateway.label.{name}"] = value
    start = int(record.at * 1e9) if record.at else ended.clock(ended.started)
    return Span(
        ended.trace_id, _own_id(record, ended), ended.span_id, shape,
        start, start + int(record.duration_ms * 1e6), own, error, ended.links,
    )  # fmt: skip


def _own_id(record: Record, ended: Ended) -> str:
    """An operation is a span below the request's, also where its record only names the request's."""
    return record.span_id if record.span_id not in ("", ended.span_id) else new_span_id()


@lru_cache(maxsize=SHAPES)
def _model_shape(
    method: str, provider: str, asked: str, answered: str, said: str, user: str, agent: str
) -> Shape:
    operation = _OPERATIONS.get(method, method)
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": asked,
        "gen_ai.response.model": answered,
        "gateway.verdict": said,
        **_caller(user, agent),
    }
    return Shape(f"{operation} {asked}".strip(), CLIENT, attributes)


def _used(record: Record) -> dict[str, Value]:
    own: dict[str, Value] = {"gateway.cost.usd": record.usd, "gateway.attempts": record.attempts}
    usage = record.usage
    if usage is not None:
        own["gen_ai.usage.input_tokens"] = usage.prompt
        own["gen_ai.usage.output_tokens"] = usage.output
        own["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
        own["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write + usage.cache_write_1h
    if record.first_byte_ms:
        own["gen_ai.response.time_to_first_chunk"] = record.first_byte_ms / 1e3
    return own


@lru_cache(maxsize=SHAPES)
def _tool_shape(method: str, server: str, tool: str, exposed: str, said: str, user: str, agent: str) -> Shape:
    attributes: dict[str, Value] = {"mcp.method.name": method, "mcp.server.id": server}
    if tool:
        attributes["gen_ai.operation.name"] = "execute_tool"
        attributes["gen_ai.tool.name"] = exposed or tool
        attributes["mcp.tool.name"] = tool
    attributes |= {"gateway.verdict": said, **_caller(user, agent)}
    return Shape(f"{method} {tool}".strip(), CLIENT, attributes)


def _asked(record: Record, arguments: Masked | None) -> dict[str, Value]:
    own: dict[str, Value] = {}
    if record.tool_use_id:
        own["gen_ai.tool.call.id"] = record.tool_use_id
    if arguments is not None and record.arguments is not None:
        own["mcp.arguments"] = orjson.dumps(arguments(record.arguments), default=str).decode()
    return own


def _caller(user: str, agent: str) -> dict[str, Value]:
    return {"user.id": user, "gen_ai.agent.name": agent} if agent else {"user.id": user}


def _session(id: str) -> dict[str, Value]:
    return {"session.id": id, "gen_ai.conversation.id": id} if id else {}


def _phases(ended: Ended, operation: str) -> list[Span]:
    """Attempts belong to the operation, if there is one; what policies took belongs to the request."""
    trace, request, zero = ended.trace_id, ended.span_id, ended.clock(0)
    return [
        Span(
            trace, id, operation if phase.name == "attempt" else request, _phase_shape(phase.name, phase.detail),
            zero + phase.started, zero + phase.ended, NONE,
        )
        for phase, id in zip(ended.phases, new_span_ids(len(ended.phases)), strict=True)
    ]  # fmt: skip


@lru_cache(maxsize=SHAPES)
def _phase_shape(name: str, detail: str) -> Shape:
    attributes = {"gateway.phase": name, "gateway.detail": detail} if detail else {"gateway.phase": name}
    return Shape(name, CLIENT if name == "attempt" else INTERNAL, attributes)
