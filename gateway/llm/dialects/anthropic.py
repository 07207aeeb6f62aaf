"""Anthropic's Messages: the hub itself, so reading and writing change little, and what they change is named here.

Towards Anthropic's own API a body from an Anthropic client is forwarded, not rebuilt. `write_request` serves clients
of other dialects (and `forward` where something must change): it fills the maximum, keeps only Claude's own
thinking, makes names and ids fit, and settles combinations that Anthropic refuses. Quirks read here:
`no_adaptive` (an older model: adaptive thinking becomes a budget), `adaptive_only` (a newer one: the other way),
`no_mid_system` (a model that knows system messages only at the start: later ones become the user's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import betas, failures, names
from gateway.llm.dialects.anthropic_fit import fit
from gateway.llm.dialects.anthropic_form import checked
from gateway.llm.dialects.anthropic_watch import Watcher as watcher
from gateway.llm.dialects.anthropic_watch import forward, usage_of
from gateway.llm.dialects.composer import CUT
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.frames import Garbage, JsonFrames, one_line
from gateway.llm.dialects.protocol import (
    ErrorInfo,
    Event,
    Json,
    Model,
    Options,
    Outbound,
    Reply,
    Request,
    Target,
)

__all__ = [
    "forward", "read_answer", "read_count", "read_error", "read_request", "reader", "usage_of", "watcher",
    "write_answer", "write_count", "write_models", "write_request", "writer",
]  # fmt: skip

VERSION = "2023-06-01"
# What `/v1/messages/count_tokens` takes.
COUNTED = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "output_format", "mcp_servers",
    "context_management", "cache_control", "speed",
})  # fmt: skip
# What only the gateway's own translation needs.
_PRIVATE_USAGE = frozenset({"estimated", "reasoning_tokens"})


def read_request(body: Json, target: Target) -> Request:
    if not isinstance(body.get("messages"), list):
        raise BadRequest("messages: a list is required")
    model = body.get("model") or target.model
    if not isinstance(model, str) or not model:
        raise BadRequest("model: a name is required")
    return Request(body, model=model, stream=bool(body.get("stream")) or target.stream, count=target.count)


def write_request(hub: Json, options: Options) -> Outbound:
    sent = names.Names(names.ANTHROPIC, limit=128)
    with shaped("Messages"):
        body, losses = fit(hub, options, sent)
    body["model"] = options.model
    body.pop("anthropic_beta", None)  # where Bedrock's clients write their betas
    if options.count:
        body = {key: value for key, value in body.items() if key in COUNTED}
    else:
        body["stream"] = options.stream
    headers = {name: value for name, value in options.headers.items() if name.startswith("anthropic-")}
    headers.setdefault("anthropic-version", VERSION)
    if asked := betas.native(betas.asked(headers.get("anthropic-beta"), hub)):
        headers["anthropic-beta"] = ",".join(asked)
    return Outbound(
        path="/v1/messages/count_tokens" if options.count else "/v1/messages",
        headers={**headers, "content-type": "application/json"},
        body=body,
        losses=losses,
        reply=Reply(model=options.model, names=sent.back, prompt_estimate=options.prompt_estimate),
    )


class Reader:
    """Anthropic's SSE -> hub events. Events of unknown types are passed on; writers ignore what they do not know."""

    __slots__ = ("_frames", "_names", "_over")

    def __init__(self, reply: Reply) -> None:
        self._frames = JsonFrames()
        self._names = reply.names
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            return self._read(self._frames.feed(chunk))
        except ValueError as error:
            return self._fail(str(error))

    def end(self) -> list[Event]:
        try:
            events = self._read(self._frames.end())
        except Garbage:
            events = []
        return events if self._over else [*events, *self._fail(CUT)]

    def _read(self, frames: list[tuple[str, Json]]) -> list[Event]:
        events = []
        for _, event in frames:
            if not self._over and isinstance(event.get("type"), str):
                self._over = checked(event)["type"] in ("message_stop", "error")
                events.append(self._restored(event) if self._names else event)
        return events

    def _restored(self, event: Event) -> Event:
        block = event.get("content_block") or {}
        if block.get("name") in self._names:
            return {**event, "content_block": {**block, "name": self._names[block["name"]]}}
        return event

    def _fail(self, message: str) -> list[Event]:
        if self._over:
            return []
        self._over = True
        return [failures.event(ErrorInfo(500, "api_error", message), retry=True)]


def read_answer(body: Json, reply: Reply) -> Json:
    if body.get("type") == "error":
        raise failures.AnswerFailed(failures.of_event(body))
    if not reply.names:
        return body
    content = [
        {**block, "name": reply.names.get(block["name"], block["name"])} if "name" in block else block
        for block in body.get("content") or ()
    ]
    return {**body, "content": content}


def read_count(body: Json) -> int:
    return int(body["input_tokens"])


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    wait = failures.retry_after(headers)
    try:
        error = orjson.loads(body)["error"]
        kind, message = str(error["type"]), str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return failures.classify(status, body[:500].decode("utf-8", "replace"), retry_after=wait)
    return ErrorInfo(status, kind, message, wait)


class Writer:
    """Hub events -> Anthropic's SSE."""

    __slots__ = ("media",)

    def __init__(self, request: Request) -> None:
        self.media = "text/event-stream"

    def write(self, event: Event) -> bytes:
        kind = event["type"]
        if kind == "message_start":
            event = {**event, "message": write_answer(event["message"], None)}
        elif kind == "message_delta":
            event = {**event, "usage": public_usage(event.get("usage") or {})}
        elif kind == "error":
            event = {"type": "error", "error": event["error"]}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), one_line(event))

    def ping(self) -> bytes:
        return b'event: ping\ndata: {"type":"ping"}\n\n'


reader = Reader
writer = Writer


def write_answer(message: Json, request: Request | None) -> Json:
    return {**message, "usage": public_usage(message.get("usage") or {})}


def public_usage(usage: Json) -> Json:
    """Without the gateway's own notes; the thinking's share where Anthropic says it."""
    if not _PRIVATE_USAGE & usage.keys():
        return usage
    shown = {key: value for key, value in usage.items() if key not in _PRIVATE_USAGE}
    if thinking := usage.get("reasoning_tokens"):
        shown["output_tokens_details"] = {"thinking_tokens": thinking}
    return shown


def write_count(tokens: int) -> Json:
    return {"input_tokens": tokens}


def write_models(models: Sequence[Model]) -> Json:
    listed = [
        {"type": "model", "id": model.id, "display_name": model.name or model.id,
         "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        for model in models
    ]  # fmt: skip
    ends = (listed[0]["id"], listed[-1]["id"]) if listed else (None, None)
    return {"data": listed, "has_more": False, "first_id": ends[0], "last_id": ends[1]}
