"""OpenAI's error bodies, which its compatible providers write in a dozen ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects.frames import Garbage
from gateway.llm.dialects.protocol import ErrorInfo, Json

_CODES = {
    "insufficient_quota": 402,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "overloaded_error": 529,
    "server_is_overloaded": 529,
    "slow_down": 529,
    "timeout_error": 504,
    "server_error": 500,
    "api_error": 500,
}
_WRITTEN = {"billing_error": "insufficient_quota", "rate_limit_error": "rate_limit_exceeded"}
_TOO_LONG = ("context_length_exceeded", "string_above_max_length")


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    message, code = _told(body)
    shown = _CODES["insufficient_quota"] if code == "insufficient_quota" else status
    info = failures.classify(shown, message, retry_after=failures.retry_after(headers))
    return _hinted(info, code, message)


def of_event(error: Any) -> ErrorInfo:
    """An error inside a stream, where only a code (or a number) says what kind it is."""
    error = error if isinstance(error, dict) else {"message": str(error)}
    code, message = str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
    status = int(code) if code.isdigit() else _CODES.get(code) or _CODES.get(str(error.get("type")), 500)
    return _hinted(failures.classify(status, message), code, message)


def malformed(error: Exception) -> ErrorInfo:
    said = str(error) if isinstance(error, Garbage) else "the upstream sent an event that makes no sense"
    return ErrorInfo(500, "api_error", said)


def _hinted(info: ErrorInfo, code: str, message: str) -> ErrorInfo:
    if code in _TOO_LONG and failures.TOO_LONG not in info.message:
        return ErrorInfo(400, "invalid_request_error", f"{message} ({failures.TOO_LONG})", info.retry_after)
    return info


def _told(body: bytes) -> tuple[str, str]:
    """The message and the code: of `error` as an object or a text, of the top level, or of a list holding one."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")[:2000].strip(), ""
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, dict):
        return "", ""
    error = found.get("error", found)
    if not isinstance(error, dict):
        return str(error), ""
    message = error.get("message") or error.get("detail") or found.get("message") or ""
    return message if isinstance(message, str) else orjson.dumps(message).decode(), str(
        error.get("code") or error.get("type") or ""
    )


def write_error(info: ErrorInfo) -> Json:
    """The `error` object, for a stream that breaks."""
    return {
        "message": info.message,
        "type": info.type,
        "param": None,
        "code": _WRITTEN.get(info.type, info.type),
    }
