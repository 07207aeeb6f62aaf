"""What a handler of the page's API is given, and how it says no."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import refusals
from gateway.admin.door import Visitor
from gateway.errors import Refused

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
