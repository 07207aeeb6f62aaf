"""Claude on Vertex, on both sides: Anthropic's bodies and streams on Google's paths.

Paths are relative to `…/v1/projects/P/locations/L`; `host` gives the host of a location. Quirks read here: those of
`anthropic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, betas, failures
from gateway.llm.dialects.anthropic import (
    read_answer,
    read_count,
    reader,
    usage_of,
    watcher,
    write_answer,
    write_count,
    writer,
)
from gateway.llm.dialects.anthropic_watch import own_thinking
from gateway.llm.dialects.bedrock import without_attribution
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.passage import with_model
from gateway.llm.dialects.protocol import ErrorInfo, Json, Options, Outbound, Request, Target

__all__ = [
    "forward",
    "host",
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

VERSION = "vertex-2023-10-16"


def host(location: str) -> str:
    """`global`, the multi-regions `us` and `eu`, or a region."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


@shaped("Messages")
def write_request(hub: Json, options: Options) -> Outbound:
    asked = betas.asked(options.headers.get("anthropic-beta"), hub)
    made = anthropic.write_request(without_attribution(hub), options)
    body, kept, losses = betas.settle(dict(made.body), asked, betas.VERTEX)
    if not options.count:
        del body["model"]
    body["anthropic_version"] = VERSION
    headers = {"content-type": "application/json"}
    if kept:
        headers["anthropic-beta"] = ",".join(kept)
    return Outbound(
        path=path(options), body=body, headers=headers, losses=[*made.losses, *losses], reply=made.reply
    )


def path(options: Options) -> str:
    if options.count:
        return "/publishers/anthropic/models/count-tokens:rawPredict"
    verb = "streamRawPredict" if options.stream else "rawPredict"
    return f"/publishers/anthropic/models/{quote(options.model, safe='@')}:{verb}"


def forward(body: bytes, options: Options) -> bytes:
    """The model stands in the path, and in the body only when tokens are counted."""
    own = own_thinking(body)
    return with_model(own, options.model) if options.count else own


@shaped("Messages")
def read_request(body: Json, target: Target) -> Request:
    model = target.model or body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model: a name is required")
    hub = {key: value for key, value in body.items() if key != "anthropic_version"}
    stream = target.stream or bool(body.get("stream"))
    return Request(hub | {"model": model}, model=model, stream=stream, count=target.count)


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    """Claude's own envelope, or Google's, where the request did not come so far."""
    try:
        found = orjson.loads(body)
        found = found[0] if isinstance(found, list) and found else found
        error = found["error"]
        if "code" not in error:
            return anthropic.read_error(status, headers, body)
        return failures.classify(
            status, str(error.get("message") or ""), retry_after=failures.retry_after(headers)
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return anthropic.read_error(status, headers, body)
