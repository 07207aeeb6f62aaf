"""The admin API for spend limits, in the shapes of the vendor's: amounts are strings of cents, periods daily to monthly.

No HTTP here: each function takes what was asked and gives the JSON to answer. Raises BadRequest.

    POST   /v1/organizations/spend_limits            set
    GET    /v1/organizations/spend_limits            listed
    GET    /v1/organizations/spend_limits/effective  effective
    GET    /v1/organizations/spend_limits/{id}       got
    DELETE /v1/organizations/spend_limits/{id}       deleted
"""

from __future__ import annotations

import datetime
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.errors import BadRequest
from gateway.limits import rules
from gateway.limits.spend import KIND, PERIODS, Effective, SpendLimits

if TYPE_CHECKING:
    from gateway.stores.protocols import Store

Json = dict[str, Any]
_SCOPES = {"user": "user_id", "rbac_group": "rbac_group_id", "organization": ""}
PAGE, LARGEST_PAGE = 20, 1000
_CENTS = re.compile(r"[0-9]{1,10}")  # what a bucket has room for


class SpendLimitsApi:
    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def set(self, body: Mapping[str, Any]) -> Json:
        """Creates the limit of a scope and period, or replaces it. `amount` null: explicitly none."""
        scope, period, amount = _scope(body.get("scope")), body.get("period", "monthly"), body.get("amount")
        if period not in PERIODS:
            raise BadRequest("period: one of daily, weekly, monthly")
        if amount is not None and not (isinstance(amount, str) and _CENTS.fullmatch(amount)):
            raise BadRequest(
                'amount: cents as a string of at most ten digits ("50000" is $500), or null for no limit'
            )
        ident = _ident(scope, period)
        standing = await self._store.get(KIND, ident)
        now = _stamp(self._clock())
        created = standing.value["created_at"] if standing else now
        limit = {"type": "spend_limit", "id": ident, "amount": amount, "currency": "USD", "period": period,
                 "scope": scope, "is_enabled": True, "created_at": created, "updated_at": now}  # fmt: skip
        await self._store.put(KIND, ident, limit)
        return limit

    async def got(self, ident: str) -> Json:
        found = await self._store.get(KIND, ident)
        if found is None:
            raise BadRequest(f"there is no spend limit {ident}", status=404)
        return dict(found.value)

    async def deleted(self, ident: str) -> Json:
        await self.got(ident)
        await self._store.delete(KIND, ident)
        return {"type": "spend_limit_deleted", "id": ident}

    async def listed(self, *, scope_type: Sequence[str] = (), limit: int = PAGE, page: str = "") -> Json:
        found = await self._store.list(KIND, limit=LARGEST_PAGE)
        order = list(_SCOPES)[::-1]
        rows = sorted(
            (dict(item.value) for _, item in found),
            key=lambda row: (order.index(row["scope"]["type"]), row["id"]),
        )
        return _page(
            [row for row in rows if not scope_type or row["scope"]["type"] in scope_type], limit, page
        )

    async def effective(
        self, *, user_ids: Sequence[str] = (), period: Sequence[str] = (), limit: int = PAGE, page: str = "",
        groups: Mapping[str, Sequence[str]] | None = None, sort: str = "",
    ) -> Json:  # fmt: skip
        """What counts for each user and what they spent so far. `groups`: those of each user, where they are known."""
        limits = SpendLimits(self._store)
        await limits.fresh()
        rows: list[Json] = []
        for name in period or PERIODS:
            if name not in PERIODS:
                raise BadRequest("period: one of daily, weekly, monthly")
            start, _ = rules.period(PERIODS[name], self._clock())
            totals = await self._store.usage(
                since=start, until=self._clock() + 1, by=["user"], where={"kind": "llm"}
            )
            spent = {total.group[0]: total.usd for total in totals}
            for user in user_ids or sorted(user for user in spent if user):
                counting = (
                    found for found in limits.of(user, (groups or {}).get(user, ())) if found.period == name
                )
                rows += [_summary(user, found, spent.get(user, 0.0)) for found in counting]
        if sort == "spend_desc":
            rows.sort(key=lambda row: -float(row["period_to_date_spend"]))
        return _page(rows, limit, page)


PREFIX = "/v1/organizations/spend_limits"


async def answer(
    api: SpendLimitsApi,
    verb: str,
    path: str,
    *,
    query: Mapping[str, Sequence[str]],
    body: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Json:
    """The JSON that one request to the API is answered with; `query` as `parse_qs` reads it. Raises BadRequest."""
    ident = path.removeprefix(PREFIX).strip("/")
    if verb == "POST" and not ident:
        return await api.set(body)
    if verb == "GET" and ident not in ("", "effective"):
        return await api.got(ident)
    if verb == "DELETE" and ident:
        return await api.deleted(ident)
    if verb != "GET":
        raise BadRequest(f"{verb} {path} is none of the spend limits' requests", status=404)
    limit, page = _number(_first(query, "limit"), PAGE), _first(query, "page")
    if not ident:
        return await api.listed(scope_type=_all(query, "scope_type"), limit=limit, page=page)
    return await api.effective(
        user_ids=_all(query, "user_ids"), period=_all(query, "period"), limit=limit, page=page, groups=groups,
        sort=_first(query, "sort"),
    )  # fmt: skip


def _all(query: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    return query.get(name) or query.get(name + "[]") or ()


def _first(query: Mapping[str, Sequence[str]], name: str) -> str:
    return (query.get(name) or ("",))[0]


def _number(text: str, default: int) -> int:
    if text and not text.isdigit():
        raise BadRequest("limit: a whole number")
    return int(text) if text else default


def _scope(given: Any) -> Json:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind not in _SCOPES:
        raise BadRequest(f"scope.type: one of {', '.join(_SCOPES)}")
    field = _SCOPES[kind]
    if not field:
        return {"type": kind}
    value = given.get(field)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"scope.{field}: field required")
    return {"type": kind, field: value}


def _ident(scope: Json, period: str) -> str:
    text = "\0".join((scope["type"], scope.get(_SCOPES[scope["type"]], ""), period))
    return "spl_" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _summary(user: str, found: Effective, spent: float) -> Json:
    email = user if "@" in user else None
    return {
        "type": "spend_summary",
        "actor": {
            "type": "user_actor",
            "user_id": user,
            "name": user,
            "email_address": email,
            "deleted": False,
        },
        "amount": found.limit["amount"],
        "currency": "USD",
        "period": found.period,
        "period_to_date_spend": f"{spent * 100:.4f}".rstrip("0").rstrip("."),
        "scope": {"type": "user", "user_id": user},
        "source": found.limit["scope"],
        "spend_limit_id": found.limit["id"],
    }


def _page(rows: list[Json], limit: int, page: str) -> Json:
    if not 1 <= limit <= LARGEST_PAGE or (page and not page.isdigit()):
        raise BadRequest(f"limit: 1 to {LARGEST_PAGE}; page: the next_page of an earlier answer")
    start = int(page or 0)
    more = len(rows) > start + limit
    return {"data": rows[start : start + limit], "next_page": str(start + limit) if more else None}


def _stamp(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
