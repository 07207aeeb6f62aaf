"""The objects that Responses events carry."""

from __future__ import annotations

import time

import orjson

from gateway.llm.dialects import openai_usage
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.protocol import ErrorInfo, Json, Request, new_id
from gateway.metering.usage import Usage

CUTS = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}
_CODES = {
    "rate_limit_error": "rate_limit_exceeded",
    "billing_error": "insufficient_quota",
    "invalid_request_error": "invalid_prompt",
}
_DEFAULTS: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}


def echoed(request: Request) -> Json:
    """What the client said of its request."""
    return _DEFAULTS | (request.wire.get("echo") or {})


def base(request: Request, created: int | None) -> Json:
    """What every snapshot of the response has; the echo is encoded once, for it may be long."""
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()) if created is None else created,
        "background": False,
        "model": request.model,
        "previous_response_id": None,
        "store": False,
        **{key: orjson.Fragment(orjson.dumps(value)) for key, value in echoed(request).items()},
    }


def state(status: str, output: list[Json], usage: Json, *, cut: str | None = None) -> Json:
    """What changes from one snapshot to the next."""
    over = status in ("completed", "incomplete")
    counted = figures.read(usage) or Usage(estimated=True)
    return {
        "status": status,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "output": list(output),
        "usage": openai_usage.to_responses(counted) if over else None,
        "completed_at": int(time.time()) if status == "completed" else None,
    }


def failure(info: ErrorInfo) -> Json:
    code = _CODES.get(info.type, "server_error")
    if "prompt_too_long" in info.message:
        code = "context_length_exceeded"
    return {"code": code, "message": info.message}


def text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary_part(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def message(ident: str, status: str, content: list[Json]) -> Json:
    return {"id": ident, "type": "message", "status": status, "role": "assistant", "content": content}
