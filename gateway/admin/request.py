"""What a handler of the page's API is given, how that is read from a request, and how a handler says no."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import orjson

from gateway import refusals
from gateway.admin.door import Visitor
from gateway.errors import ClientGone, Refused
from gateway.types import Receive, Scope

LARGEST: Final = 65_536  # bytes of a change
DAY = 86_400.0
LONGEST = 400 * DAY
FILTERS = ("user", "principal", "agent", "project", "session", "kind", "route", "provider", "model", "server",
           "tool", "outcome", "policy", "team", "findings")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    visitor: Visitor
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    name: str = ""  # what stands after the endpoint in the path
    now: Callable[[], float] = time.time

    def number(self, name: str, default: float) -> float:
        try:
            return float(self.query.get(name) or default)
        except ValueError:
            raise Refused(refusals.invalid(f"{name} is not a number")) from None

    def window(self) -> tuple[float, float]:
        """From `since` up to `until`, in seconds since the epoch; the last day where nothing is asked for."""
        until = self.number("until", self.now() + 1)
        since = self.number("since", until - DAY)
        if not until - LONGEST <= since < until:
            raise Refused(refusals.invalid("since must be before until, by 400 days at most"))
        return since, until

    def where(self) -> dict[str, str]:
        return {
            name: value for name, value in self.query.items() if name in FILTERS or name.startswith("label.")
        }

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self.body.get(name, default)
        if not isinstance(value, str) or (default is None and not value):
            raise Refused(refusals.invalid(f"{name}: a text is needed"))
        return value


Handler = Callable[[Request], Awaitable[Any]]


def missing(what: str) -> Refused:
    return Refused(refusals.invalid(f"there is no {what}", status=404))


async def received(
    scope: Scope, receive: Receive, headers: Mapping[str, str], visitor: Visitor, name: str
) -> Request:
    """Raises Refused where the body is too long, or no JSON object, and ClientGone."""
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
    body: Any = {}
    if scope["method"] not in ("GET", "HEAD"):
        if not headers.get("content-type", "").startswith("application/json"):
            raise Refused(refusals.invalid("send JSON, and say so", status=415))
        body = await _body(receive)
    return Request(visitor, headers, query, body, unquote(name))


async def _body(receive: Receive) -> dict[str, Any]:
    data, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the visitor left")
        data, more = data + message.get("body", b""), message.get("more_body", False)
        if len(data) > LARGEST:
            raise Refused(refusals.invalid("too much for one change", status=413))
    try:
        found = orjson.loads(data or b"{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Refused(refusals.invalid("send a JSON object"))
    return found
