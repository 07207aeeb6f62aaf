"""How the gateway says no: which policy, why, and what to do, in the caller's own dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Struct

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.types import Headers, Send


class Refusal(Struct, frozen=True):
    """`kind` is Anthropic's error type; the other dialects' codes follow from it and the status."""

    status: int
    kind: str  # authentication_error | permission_error | rate_limit_error | billing_error | invalid_request_error | …
    message: str  # for people: what, why, and what to do
    policy: str = ""  # auth | authz | ratelimit | guard | kill | … ("" for plain errors)
    rule: str = ""  # which rule or limit; shown to the operator, and to the client where harmless
    retry_after: float | None = None  # seconds
    headers: tuple[tuple[str, str], ...] = ()
    data: Mapping[str, Any] = {}


def unauthorized(message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Refusal:
    return Refusal(
        401,
        "authentication_error",
        message,
        "auth",
        headers=(*headers, ("x-should-retry", "false")),
    )


def forbidden(message: str, *, policy: str = "authz", rule: str = "") -> Refusal:
    return Refusal(403, "permission_error", message, policy, rule)


def invalid(message: str, *, status: int = 400) -> Refusal:
    kind = {404: "not_found_error", 413: "request_too_large"}.get(status, "invalid_request_error")
    return Refusal(status, kind, message)


def overloaded(message: str, *, status: int = 503, retry_after: float = 1.0) -> Refusal:
    return Refusal(
        status,
        "overloaded_error" if status == 529 else "api_error",
        message,
        retry_after=retry_after,
    )


def _anthropic(refusal: Refusal, request_id: str) -> dict[str, Any]:
    error = {"type": refusal.kind, "message": refusal.message}
    return {"type": "error", "error": error, "request_id": request_id}


_OPENAI_TYPES = {"rate_limit_error": "rate_limit_exceeded", "billing_error": "insufficient_quota"}


def _openai(refusal: Refusal, request_id: str) -> dict[str, Any]:
    code = _OPENAI_TYPES.get(refusal.kind) or refusal.policy or None
    return {"error": {"message": refusal.message, "type": refusal.kind, "param": None, "code": code}}


_GOOGLE = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT",
           415: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}  # fmt: skip


def _gemini(refusal: Refusal, request_id: str) -> dict[str, Any]:
    status = _GOOGLE.get(refusal.status, "INTERNAL" if refusal.status >= 500 else "FAILED_PRECONDITION")
    return {"error": {"code": refusal.status, "message": refusal.message, "status": status}}


_AWS = {400: "Validation", 401: "UnrecognizedClient", 403: "AccessDenied", 404: "ResourceNotFound", 413: "Validation", 415: "Validation", 429: "Throttling",
        503: "ServiceUnavailable", 504: "ModelTimeout", 529: "ServiceUnavailable"}  # fmt: skip


def _bedrock(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {"message": refusal.message}


def _mcp(refusal: Refusal, request_id: str) -> dict[str, Any]:
    # Outside the range that JSON-RPC and MCP reserve: a policy's refusal is none of their errors.
    error = {
        "code": -31000 - refusal.status,
        "message": refusal.message,
        "data": dict(refusal.data),
    }
    return {"jsonrpc": "2.0", "id": None, "error": error}


def _problem(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": refusal.kind.replace("_", " "), "status": refusal.status,
            "detail": refusal.message, "instance": request_id}  # fmt: skip


_RENDER: dict[str, Callable[[Refusal, str], dict[str, Any]]] = {
    "anthropic": _anthropic, "vertex": _anthropic, "openai-chat": _openai, "openai-responses": _openai,
    "gemini": _gemini, "bedrock": _bedrock, "mcp": _mcp,
}  # fmt: skip


def render(refusal: Refusal, dialect: str, request_id: str) -> tuple[Headers, bytes]:
    """The response's headers and body."""
    body = orjson.dumps(_RENDER.get(dialect, _problem)(refusal, request_id))
    media = b"application/json" if dialect in _RENDER else b"application/problem+json"
    headers: Headers = [(b"content-type", media), (b"content-length", b"%d" % len(body)),
                        (b"request-id", request_id.encode())]  # fmt: skip
    if dialect == "bedrock":  # AWS's clients read the kind of an error here
        kind = _AWS.get(refusal.status) or ("InternalServer" if refusal.status >= 500 else "Validation")
        headers += [
            (b"x-amzn-errortype", kind.encode() + b"Exception"),
            (b"x-amzn-requestid", request_id.encode()),
        ]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-refusal.retry_after // 1))))
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in refusal.headers]
    return headers, body


async def send_refusal(call: Call, refusal: Refusal, send: Send) -> None:
    """Answer the whole request with this refusal."""
    call.refusal = refusal
    headers, body = render(refusal, call.dialect, call.id)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
