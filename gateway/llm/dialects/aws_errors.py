"""AWS's exceptions: a header or a field names the kind, in answers and inside streams."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects.eventstream import Frame, encode
from gateway.llm.dialects.protocol import ErrorInfo

# The status that the table of failures knows for each kind, by its name in lower case without the word at its end.
_STATUSES = {
    "validation": 400,
    "accessdenied": 403,
    "unrecognizedclient": 401,
    "invalidsignature": 401,
    "incompletesignature": 401,
    "missingauthenticationtoken": 401,
    "expiredtoken": 401,
    "resourcenotfound": 404,
    "modeltimeout": 408,
    "throttling": 429,
    "servicequotaexceeded": 429,
    "toomanyrequests": 429,
    "modelnotready": 503,
    "serviceunavailable": 503,
    "modelerror": 500,
    "modelstreamerror": 500,
    "internalserver": 500,
}
_NAMES = {
    "invalid_request_error": "validationException",
    "request_too_large": "validationException",
    "rate_limit_error": "throttlingException",
    "overloaded_error": "serviceUnavailableException",
    "timeout_error": "modelTimeoutException",
    "api_error": "internalServerException",
}


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = {}
    found = found if isinstance(found, dict) else {}
    message = found.get("message") or found.get("Message") or body[:500].decode("utf-8", "replace")
    kind = headers.get("x-amzn-errortype") or str(found.get("__type") or "")
    return classify(kind, str(message), status=status, retry_after=failures.retry_after(headers))


def classify(kind: str, message: str, *, status: int = 500, retry_after: float | None = None) -> ErrorInfo:
    name = kind.partition(":")[0].rpartition("#")[2].lower().removesuffix("exception")
    if "security token" in message and "expired" in message:
        name = "expiredtoken"
    known = _STATUSES.get(name, status)
    return failures.classify(known, message, retry_after=retry_after)


def of_frame(frame: Frame) -> ErrorInfo | None:
    """The error of a frame that is one."""
    kind = frame.headers.get(":message-type")
    if kind == "exception":
        try:
            message = str(orjson.loads(frame.payload).get("message") or "")
        except (orjson.JSONDecodeError, AttributeError):
            message = frame.payload.decode("utf-8", "replace")
        return classify(frame.headers.get(":exception-type", ""), message)
    if kind == "error":
        return classify(frame.headers.get(":error-code", ""), frame.headers.get(":error-message", ""))
    return None


def write_exception(info: ErrorInfo) -> bytes:
    """The frame that ends a stream in an error."""
    name = _NAMES.get(info.type, "internalServerException")
    headers = (
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    )
    return encode(orjson.dumps({"message": info.message}), headers=headers)
