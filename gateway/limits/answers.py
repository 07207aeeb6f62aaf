"""What a caller is told of their limits: in a refusal, and in the headers of a successful answer."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.known import Known
from gateway.limits.bucket import Taken
from gateway.limits.demand import Rule, Share
from gateway.refusals import Refusal

if TYPE_CHECKING:
    from gateway.limits.reservation import Part

Header = tuple[bytes, bytes]
_PERIODS = {"day": "daily", "week": "weekly", "month": "monthly"}
_UNITS = ("requests", "tokens")
_KINDS = ("limit", "remaining", "reset")
_ANTHROPIC = {unit: [f"anthropic-ratelimit-{unit}-{kind}".encode() for kind in _KINDS] for unit in _UNITS}
_OPENAI = {unit: [f"x-ratelimit-{kind}-{unit}".encode() for kind in _KINDS] for unit in _UNITS}
_NAMES = {
    "anthropic": _ANTHROPIC,
    "vertex": _ANTHROPIC,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
}
# A shared credential's figures, which are replaced by the caller's own.
UPSTREAMS: Known[bytes, bool] = Known(
    lambda name: name.startswith((b"anthropic-ratelimit-", b"x-ratelimit-"))
)


def denied(shares: Sequence[Share], taken: Taken) -> Share:
    """The limit to name: of several budgets that are spent, the one that resets last."""
    denied = next(share for share in shares if share.limit == taken.denied)
    if denied.rule.per is None:
        return denied
    spent = (share for share in shares if share.rule.per and taken.remaining[share.limit] < share.cost)
    return max((denied, *spent), key=lambda share: share.resets)


def refusal(share: Share, retry_after: float, now: float) -> Refusal:
    rule = share.rule
    if rule.per is not None:
        return _spent(rule, share.resets, now)
    what = "too many calls at once" if rule.unit == "concurrency" else f"too many {rule.unit}"
    message = f"{what}: this call would go over the limit of {rule.name}. Try again in {max(1, round(retry_after))} s."
    return Refusal(429, "rate_limit_error", message, "ratelimit", rule.name, retry_after,
                   data={"limit": rule.name, "retry_after": retry_after})  # fmt: skip


def _spent(rule: Rule, resets: float, now: float) -> Refusal:
    """As Claude Code wants it: without `representative-claim` and `overage-status` it shows the message as it stands."""
    at = datetime.datetime.fromtimestamp(resets, datetime.UTC)
    period = _PERIODS[rule.per or "day"]
    message = (
        f"spend limit reached ({period}; resets {at:%Y-%m-%d %H:%M} UTC): {rule.name}. "
        "Ask the operator of this gateway for more, or wait until then."
    )
    unified = {
        "status": "rejected",
        "reset": f"{resets:.0f}",
        "overage-reset": f"{resets:.0f}",
        "overage-utilization": "1",
        "overage-surpassed-threshold": "1",
        "overage-period": period,
        "overage-disabled-reason": "org_spend_cap_reached",
    }
    if "groups" in rule.group:
        unified["overage-scope"] = "group_pool"
    own = tuple((f"anthropic-ratelimit-unified-{name}", value) for name, value in unified.items())
    return Refusal(429, "billing_error", message, "ratelimit", rule.name, resets - now,
                   (("x-should-retry", "false"), *own), {"limit": rule.name, "resets": int(resets)})  # fmt: skip


def unavailable(rule: Rule) -> Refusal:
    message = f"{rule.name} cannot be checked at the moment, and is closed until it can. Try again in a few seconds."
    if rule.per is None:
        return Refusal(503, "api_error", message, "ratelimit", rule.name, 2.0, data={"limit": rule.name})
    reason = ("anthropic-ratelimit-unified-overage-disabled-reason", "fetch_error")
    return Refusal(429, "billing_error", message, "ratelimit", rule.name, headers=(("x-should-retry", "false"), reason),
                   data={"limit": rule.name})  # fmt: skip


def headers(dialect: str, parts: Sequence[Part], now: float) -> list[Header]:
    """The caller's own figures, as the dialect's clients read them."""
    names = _NAMES.get(dialect)
    found: list[Header] = []
    if names is None:
        return found
    for share, left in _tightest(parts):
        rule = share.rule
        if rule.unit in names:
            limit, remaining, reset = names[rule.unit]
            full = (rule.burst - left) / rule.rate if left < rule.burst else 0.0
            end = _moment(int(now + full)) if names is _ANTHROPIC else b"%.3fs" % full
            found += ((limit, _whole(rule.burst)), (remaining, b"%d" % left), (reset, end))
        elif rule.unit == "usd" and names is _ANTHROPIC:
            found += _unified(round(100 * (1 - left / rule.burst)), rule.surpassed(left), share.resets)
    return found


@lru_cache(1024)
def _whole(amount: float) -> bytes:
    return b"%d" % amount


@lru_cache(64)  # calls of the same second end in the same one
def _moment(seconds: int) -> bytes:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}".encode()


@lru_cache(1024)
def _unified(used: int, surpassed: float | None, resets: float) -> Sequence[Header]:
    """The spend of the fullest budget, in percent. The client warns where a threshold is named."""
    reset = b"%.0f" % resets
    status = b"allowed" if surpassed is None else b"allowed_warning"
    found = {
        b"status": status,
        b"reset": reset,
        b"representative-claim": b"overage",
        b"overage-status": status,
        b"overage-utilization": b"%.2f" % (min(99, used) / 100),
        b"overage-reset": reset,
    }
    if surpassed is not None:
        found[b"overage-surpassed-threshold"] = b"%g" % (surpassed / 100)
    return [(b"anthropic-ratelimit-unified-" + name, value) for name, value in found.items()]


def _tightest(parts: Sequence[Part]) -> Iterable[tuple[Share, float]]:
    """Of each unit, what is used most, and what is left of it."""
    found: dict[str, tuple[Share, float]] = {}
    for part in parts:
        for share in part.shares:
            rule, left = share.rule, part.left[share.limit]
            other = found.get(rule.unit)
            if other is None or left / rule.burst < other[1] / other[0].rule.burst:
                found[rule.unit] = share, left
    return found.values()
