"""Upstream errors in Anthropic's terms: one table for every provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import time

from gateway.errors import UpstreamError
from gateway.llm.dialects.protocol import ErrorInfo, Event

KINDS: dict[int, tuple[int, str]] = {
    400: (400, "invalid_request_error"),
    422: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    408: (504, "timeout_error"),
    409: (409, "invalid_request_error"),
    413: (413, "request_too_large"),
    429: (429, "rate_limit_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
    529: (529, "overloaded_error"),
}
STATUSES = {kind: status for status, kind in KINDS.values() if status != 409} | {"api_error": 500}


# What providers call a prompt that does not fit; Claude Code compacts the conversation on the hint.
_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|context[ _]length|context window|maximum context|too many input tokens"
    r"|exceeds? the (?:maximum|limit|max)[^.]{0,40}tokens|input token count",
    re.I,
)
TOO_LONG = "capability_rejected: prompt_too_long"


class AnswerFailed(UpstreamError):
    """A whole answer that is an error inside a 200. `retry`: the same request may be asked again."""

    def __init__(self, info: ErrorInfo, *, retry: bool = False) -> None:
        super().__init__(info.message)
        self.info = info
        self.retry = retry


def classify(status: int, message: str, *, retry_after: float | None = None) -> ErrorInfo:
    """An HTTP status of an upstream, as the client should see it."""
    if status in KINDS:
        shown, kind = KINDS[status]
    elif 400 <= status < 500:
        shown, kind = status, "invalid_request_error"
    else:
        shown, kind = 500, "api_error"
    if shown in (400, 413) and _TOO_LONG.search(message):
        message = f"{message} ({TOO_LONG})"
    return ErrorInfo(shown, kind, message or f"the upstream answered {status}", retry_after)


def event(info: ErrorInfo, *, retry: bool = False) -> Event:
    """The hub's `error` event."""
    failure: Event = {
        "type": "error",
        "error": {"type": info.type, "message": info.message},
        "status": info.status,
    }
    return {**failure, "retry": True} if retry else failure


def of_event(failure: Event) -> ErrorInfo:
    """What a hub `error` event says."""
    error = failure.get("error") or {}
    kind = error.get("type") or "api_error"
    status = failure.get("status") or STATUSES.get(kind, 500)
    return ErrorInfo(status, kind, error.get("message") or "the upstream failed")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after` (seconds or a date)."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return float(milliseconds) / 1000
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        from email.utils import parsedate_to_datetime  # rarely a date, and dear to import

        return max(0.0, parsedate_to_datetime(value).timestamp() - (time() if now is None else now))
    except (ValueError, TypeError):
        return None
