"""Claude on Bedrock by InvokeModel, on both sides: Anthropic's bodies, AWS's paths, frames and errors.

Outbound the body loses `model` and `stream` and what Bedrock does not know (`betas`); inbound it is Claude Code in its
Bedrock mode, or an SDK. Quirks read here: those of `anthropic`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, betas, converse_figures, failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.anthropic import read_answer, write_answer
from gateway.llm.dialects.anthropic_watch import own_thinking
from gateway.llm.dialects.aws_errors import of_frame, read_error, write_exception
from gateway.llm.dialects.bedrock_stream import Reader, Watcher
from gateway.llm.dialects.content import MISSHAPEN, is_attribution, shaped, system_of
from gateway.llm.dialects.eventstream import encode
from gateway.llm.dialects.protocol import Event, Json, Options, Outbound, Reply, Request, Target
from gateway.metering.usage import Usage

__all__ = [
    "forward",
    "of_frame",
    "read_answer",
    "read_count",
    "read_error",
    "read_request",
    "reader",
    "usage_of",
    "watcher",
    "write_answer",
    "write_count",
    "write_request",
    "writer",
]

VERSION = "bedrock-2023-05-31"
_REGION = re.compile(r"^(?:us|eu|apac|jp|au|ca|sa|global|us-gov)\.(?=[a-z])")
_CHUNK = ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event"))


@shaped("Messages")
def write_request(hub: Json, options: Options) -> Outbound:
    asked = betas.asked(options.headers.get("anthropic-beta"), hub)
    made = anthropic.write_request(without_attribution(hub), options)
    body, kept, losses = betas.settle(dict(made.body), asked, betas.BEDROCK)
    body = {key: value for key, value in body.items() if key not in ("model", "stream")}
    body["anthropic_version"] = VERSION
    if kept:
        body["anthropic_beta"] = kept
    headers = {"content-type": "application/json"}
    if options.count:
        body.setdefault("max_tokens", 1)
        body = {"input": {"invokeModel": {"body": b64encode(orjson.dumps(body)).decode()}}}
    return Outbound(
        path=path(options), body=body, headers=headers, losses=[*made.losses, *losses], reply=made.reply
    )


def path(options: Options) -> str:
    """Counting knows models only, no regional profiles of them."""
    model = _REGION.sub("", options.model) if options.count else options.model
    verb = "count-tokens" if options.count else "invoke-with-response-stream" if options.stream else "invoke"
    return f"/model/{quote(model, safe='')}/{verb}"


def without_attribution(hub: Json) -> Json:
    system = hub.get("system")
    if isinstance(system, list) and any(is_attribution(block) for block in system):
        left = system_of(hub)
        return {**hub, "system": left} if left else {k: v for k, v in hub.items() if k != "system"}
    return hub


def read_count(body: Json) -> int:
    return int(body["inputTokens"])


def write_count(tokens: int) -> Json:
    return {"inputTokens": tokens}


def reader(reply: Reply) -> Reader:
    return Reader(reply)


def watcher() -> Watcher:
    return Watcher()


def forward(body: bytes, options: Options) -> bytes:
    """The model stands in the path, so nothing in the body changes but thinking that another provider signed."""
    return own_thinking(body)


def usage_of(answer: bytes) -> Usage | None:
    """Of InvokeModel's answer or Converse's."""
    with suppress(*MISSHAPEN):
        usage = orjson.loads(answer).get("usage")
        return converse_figures.usage_of(usage) or figures.read(usage)
    return None


@shaped("Messages")
def read_request(body: Json, target: Target) -> Request:
    if target.count:
        body = _counted(body)
    elif "anthropic_version" not in body:
        raise BadRequest("anthropic_version is missing; a Converse request can go to Bedrock only")
    hub = {key: value for key, value in body.items() if key != "anthropic_version"}
    return Request(
        hub | {"model": target.model}, model=target.model, stream=target.stream, count=target.count
    )


def _counted(body: Json) -> Json:
    try:
        found: Any = orjson.loads(b64decode(body["input"]["invokeModel"]["body"], validate=True))
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest("input.invokeModel.body: a base64 request body is needed") from error
    if not isinstance(found, dict):
        raise BadRequest("input.invokeModel.body: the request is not a JSON object")
    return found


class Writer:
    """Hub events -> event-stream frames."""

    media = "application/vnd.amazon.eventstream"

    __slots__ = ()

    def write(self, event: Event) -> bytes:
        kind = event["type"]
        if kind == "error":
            return write_exception(failures.of_event(event))
        if kind == "message_start":
            event = {**event, "message": anthropic.write_answer(event["message"], None)}
        elif kind == "message_delta":
            event = {**event, "usage": anthropic.public_usage(event.get("usage") or {})}
        return _chunk(event)

    def ping(self) -> bytes:
        return _chunk({"type": "ping"})


def _chunk(event: Mapping[str, Any]) -> bytes:
    return encode(orjson.dumps({"bytes": b64encode(orjson.dumps(event)).decode()}), headers=_CHUNK)


def writer(request: Request) -> Writer:
    return Writer()
