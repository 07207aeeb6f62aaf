"""The app of the admin port: the page, and the API that it reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from gateway import refusals
from gateway.admin import answers
from gateway.admin.door import Door, Visitor
from gateway.admin.findings import Findings
from gateway.admin.governance import Governance, Standings
from gateway.admin.pinned import StoredPins
from gateway.admin.request import Handler, Request, missing, received
from gateway.admin.sessions import Sessions
from gateway.admin.shelf import Pins, Shelf
from gateway.admin.traffic import Traffic
from gateway.errors import BadRequest, ClientGone, ConfigError, Refused, StoreError
from gateway.limits import spend_api
from gateway.refusals import Refusal
from gateway.stores.protocols import Store
from gateway.telemetry.audit import Audit
from gateway.telemetry.masking import Masking
from gateway.telemetry.recent import Recent
from gateway.telemetry.toolcosts import ToolCosts
from gateway.types import Receive, Scope, Send

log = logging.getLogger("gateway.admin")
SCRIPTS: Final = (
    "app.js", "blocks.js", "calls.js", "charts.js", "overview.js", "policies.js", "tools.js", "views.js",
)  # fmt: skip
PAGE: Final = {"": "index.html", "style.css": "style.css"} | {name: name for name in SCRIPTS}


class AdminApp:
    """`AdminApp(store, recent=recent, token="…")`. Loopback may look; whoever has the token may change.

    `prefix` is the path under which it stands in another app. `configuration()` gives the file's tree as it was read,
    secrets as references; `standings()` is the limiter's own account of itself, `pins` the store's where none is given. With
    `live=False` no answer lasts longer than what it has to say, as Lambda needs it.
    """

    def __init__(
        self,
        store: Store,
        *,
        recent: Recent,
        token: str = "",
        prefix: str = "",
        masking: Masking | None = None,
        audit: Audit | None = None,
        costs: ToolCosts | None = None,
        pins: Pins | None = None,
        standings: Standings | None = None,
        configuration: Callable[[], Mapping[str, Any]] = dict,
        live: bool = True,
    ) -> None:
        self.door = Door(token=token)
        self._prefix = prefix.rstrip("/")
        self._audit = audit
        self._files = {path: answers.Static.read(name) for path, name in PAGE.items()}
        masking = masking or Masking()
        traffic = Traffic(store, recent, masking, live=live)
        sessions = Sessions(store)
        rules = Governance(
            store, recent, masking=masking, audit=audit, configuration=configuration, standings=standings
        )
        shelf = Shelf(store, pins=pins or StoredPins(store), costs=costs, audit=audit)
        self._reads: dict[str, Handler] = {
            "overview": traffic.overview, "latency": traffic.latency, "calls": traffic.calls, "call": traffic.call,
            "sessions": sessions.sessions, "session": sessions.session, "findings": Findings(store, recent).findings,
            "limits": rules.limits, "switches": rules.switches, "configuration": rules.configuration,
            "tools": shelf.tools, "costs": shelf.costs,
        }  # fmt: skip
        # A question with a body: the playground reads, and whoever may look may ask.
        self._asks: dict[str, Handler] = {"playground": rules.playground}
        self._changes: dict[tuple[str, str], Handler] = {
            ("POST", "switches"): rules.throw, ("DELETE", "switches"): rules.restore, ("POST", "pins"): shelf.approve,
        }  # fmt: skip
        self._tail = traffic.tail
        self._spend = spend_api.SpendLimitsApi(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        try:
            await self._answer(scope, receive, send, headers)
        except Refused as error:
            await answers.refuse(send, error.refusal)
        except ConfigError as error:
            await answers.refuse(send, refusals.invalid(str(error)))
        except BadRequest as error:
            await answers.refuse(send, refusals.invalid(str(error), status=error.status))
        except StoreError as error:
            log.error("the page could not read the store: %s", error)
            await answers.refuse(send, refusals.overloaded("the store does not answer"))
        except ClientGone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        path, verb = scope["path"].removeprefix(self._prefix), scope["method"]
        if not path and self._prefix:
            return await answers.plain(send, 308, b"", [(b"location", f"{self._prefix}/".encode())])
        if path.startswith(spend_api.PREFIX):
            return await answers.json(send, await self._spend_limits(scope, receive, headers, path))
        visitor = self.door.visitor(scope, headers)
        if path.startswith("/api/"):
            endpoint, _, name = path[5:].partition("/")
            if endpoint == "session-state":
                return await self._session(scope, receive, send, headers, visitor)
            _pass(self.door.may_look(visitor))
            request = await received(scope, receive, headers, visitor, name)
            if endpoint == "tail":
                return await answers.stream(send, receive, self._tail(request))
            handler = self._handler(verb, endpoint, visitor, headers)
            return await answers.json(send, await handler(request))
        self._outer_door(visitor)
        static = self._files.get(path.removeprefix("/"))
        if static is None or verb not in ("GET", "HEAD"):
            raise missing(f"page {path}")
        await static.send(send, headers, verb)

    def _outer_door(self, visitor: Visitor) -> None:
        """The page itself holds nothing; without a credential nobody from elsewhere could ever sign in to it."""
        if not visitor.local and not self.door.has_credential:
            _pass(self.door.may_look(visitor))

    def _handler(self, verb: str, endpoint: str, visitor: Visitor, headers: Mapping[str, str]) -> Handler:
        if verb == "GET" and endpoint in self._reads:
            return self._reads[endpoint]
        if verb == "POST" and endpoint in self._asks:
            _pass(self.door.same_origin(headers))
            return self._asks[endpoint]
        change = self._changes.get((verb, endpoint))
        if change is None:
            raise missing(f"endpoint {verb} {endpoint}")
        _pass(self.door.may_change(visitor, headers))
        return change

    async def _spend_limits(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], path: str
    ) -> Any:
        """The vendor's own API, whose clients send the credential as x-api-key."""
        verb = scope["method"]
        if "authorization" not in headers and "x-api-key" in headers:
            headers = {**headers, "authorization": "Bearer " + headers["x-api-key"]}
        visitor = self.door.visitor(scope, headers)
        reads = verb in ("GET", "HEAD")
        _pass(self.door.may_look(visitor) if reads else self.door.may_change(visitor, headers))
        body = (await received(scope, receive, headers, visitor, "")).body if verb == "POST" else {}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        found = await spend_api.answer(self._spend, verb, path, query=query, body=body)
        if not reads and self._audit is not None:
            target = str(found.get("id", path))
            self._audit.action("admin", f"spend limit {verb.lower()}", target=target, ip=visitor.ip)
        return found

    async def _session(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], visitor: Visitor
    ) -> None:
        """Who am I, sign in, sign out."""
        verb = scope["method"]
        if verb == "GET":
            self._outer_door(visitor)
            return await answers.json(send, self._state(visitor))
        _pass(self.door.same_origin(headers))
        if verb == "DELETE":
            self.door.sign_out(headers)
            opened = ""
        elif verb == "POST":
            opened = self._opened(await received(scope, receive, headers, visitor, ""))
        else:
            raise missing("such way to a session")
        await answers.json(send, {}, [(b"set-cookie", self.door.cookie(opened, scope, headers).encode())])

    def _state(self, visitor: Visitor) -> dict[str, Any]:
        looks = self.door.may_look(visitor) is None
        return {"signed_in": visitor.signed_in, "csrf": visitor.csrf, "local": visitor.local,
                "may_look": looks, "has_credential": self.door.has_credential}  # fmt: skip

    def _opened(self, request: Request) -> str:
        """The session that signing in opens. Raises Refused."""
        ip = request.visitor.ip
        opened = self.door.sign_in(request.text("token"), ip)
        refused = isinstance(opened, Refusal)
        if self._audit is not None:
            self._audit.action("admin", "sign in", outcome="refused" if refused else "ok", ip=ip)
        if isinstance(opened, Refusal):
            raise Refused(opened)
        return opened


def _pass(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refused(refusal)
