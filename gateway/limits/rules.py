"""What an operator writes: limits and budgets. `Limit(requests=120, per=60, key="principal.id")`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from gateway.errors import ConfigError
from gateway.limits.keys import Key

if TYPE_CHECKING:
    from gateway.call import Call, Operation

When = Callable[["Call", "Operation"], bool]
Failure = Literal["open", "closed"]
Period = Literal["day", "week", "month"]
Unit = Literal["requests", "tokens", "concurrency", "usd"]


class Limit(Struct, frozen=True, kw_only=True):
    """So many `requests` or `tokens` in `per` seconds, at most `burst` at once; or so many calls at a time (`concurrency`).

    `key` says whose limit it is (a list charges each of its members), `when` which calls it counts: names and CEL
    expressions, or callables `(Call, Operation) -> value`. `on_failure` says what happens while the store does not answer.
    """

    requests: float | None = None
    tokens: float | None = None
    concurrency: float | None = None
    per: float = 60.0
    burst: float | None = None
    key: Key | str | None = None
    when: When | str | None = None
    name: str = ""
    on_failure: Failure = "open"

    def amount(self) -> tuple[Unit, float]:
        given = {"requests": self.requests, "tokens": self.tokens, "concurrency": self.concurrency}
        found = [(unit, value) for unit, value in given.items() if value is not None]
        if len(found) != 1:
            raise ConfigError("a limit has exactly one of requests, tokens and concurrency")
        unit, value = found[0]
        if value <= 0 or self.per <= 0 or (self.burst is not None and self.burst <= 0):
            raise ConfigError(f"the limit {self.title()!r} must be above zero")
        return unit, value  # type: ignore[return-value]

    def title(self) -> str:
        unit = next((u for u in ("requests", "tokens", "concurrency") if getattr(self, u) is not None), "")
        rate = (
            f"{getattr(self, unit, None) or 0:g} {unit}"
            if unit != "concurrency"
            else f"{self.concurrency:g} calls at once"
        )
        burst = f" burst {self.burst:g}" if self.burst is not None else ""
        return self.name or (rate if unit == "concurrency" else f"{rate} per {self.per:g}s{burst}") + _of(
            self.key, self.when
        )


class Budget(Struct, frozen=True, kw_only=True):
    """So many dollars a day, week or month (UTC; weeks begin on Mondays). Warns at the percentages in `warn`."""

    usd: float
    per: Period
    key: Key | str | None = None
    when: When | str | None = None
    name: str = ""
    warn: tuple[float, ...] = (75, 95)
    on_failure: Failure = "closed"

    def amount(self) -> tuple[Unit, float]:
        if self.usd <= 0 or self.per not in ("day", "week", "month"):
            raise ConfigError(f"the budget {self.title()!r} needs dollars above zero, per day, week or month")
        return "usd", self.usd

    def title(self) -> str:
        return self.name or f"${self.usd:g} per {self.per}" + _of(self.key, self.when)


def _of(key: object, when: object) -> str:
    by = f" by {text(key)}" if key is not None else ""
    return by + (f" when {text(when)}" if when is not None else "")


def text(source: object) -> str:
    """What an expression or a callable is called."""
    if isinstance(source, str):
        return source
    return str(getattr(source, "text", "") or getattr(source, "__qualname__", type(source).__name__))


def period(per: Period, now: float) -> tuple[float, float]:
    """The start of the period and of the next one, in seconds since the epoch."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    if per == "day":
        return today.timestamp(), (today + datetime.timedelta(days=1)).timestamp()
    if per == "week":
        monday = today - datetime.timedelta(days=today.weekday())
        return monday.timestamp(), (monday + datetime.timedelta(days=7)).timestamp()
    first = today.replace(day=1)
    return first.timestamp(), (first + datetime.timedelta(days=32)).replace(day=1).timestamp()
