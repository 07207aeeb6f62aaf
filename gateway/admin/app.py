"""The app of the admin port: the page, and the API that it reads."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote

import orjson

from gateway import refusals
from gateway.admin.door import Door, Visitor
from gateway.admin.findings import Findings
from gateway.admin.governance import Governance, Standings
from gateway.admin.pinned import StoredPins
from gateway.admin.request import Handler, Request, missing
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
from gateway.types import Headers, Receive, Scope, Send

log = logging.getLogger("gateway.admin")
LARGEST: Final = 65_536
SCRIPTS: Final = (
    "app.js",
    "blocks.js",
    "calls.js",
    "charts.js",
    "overview.js",
    "policies.js",
    "tools.js",
    "views.js",
)
PAGE: Final = {"": "index.html", "style.css": "style.css"} | {name: name for name in SCRIPTS}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY: Final[Headers] = [
    (b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
]  # fmt: skip


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
        self._files = {path: _Static.read(name) for path, name in PAGE.items()}
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
            await _refuse(send, error.refusal)
        except ConfigError as error:
            await _refuse(send, refusals.invalid(str(error)))
        except BadRequest as error:
            await _refuse(send, refusals.invalid(str(error), status=error.status))
        except StoreError as error:
            log.error("the page could not read the store: %s", error)
            await _refuse(send, refusals.overloaded("the store does not answer"))
        except ClientGone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        path, verb = scope["path"].removeprefix(self._prefix), scope["method"]
        if not path and self._prefix:
            return await _send(send, 308, b"", [(b"location", f"{self._prefix}/".encode())])
        if path.startswith(spend_api.PREFIX):
            return await _json(send, await self._spend_limits(scope, receive, headers, path))
        visitor = self.door.visitor(scope, headers)
        if path.startswith("/api/"):
            endpoint, _, name = path[5:].partition("/")
            if endpoint == "session-state":
                return await self._session(scope, receive, send, headers, visitor)
            _pass(self.door.may_look(visitor))
            request = await _request(scope, receive, headers, visitor, name)
            if endpoint == "tail":
                return await _stream(send, receive, self._tail(request))
            handler = self._handler(verb, endpoint, visitor, scope, headers)
            return await _json(send, await handler(request))
        self._outer_door(visitor)
        static = self._files.get(path.removeprefix("/"))
        if static is None or verb not in ("GET", "HEAD"):
            raise missing(f"page {path}")
        await static.send(send, headers, verb)

    def _outer_door(self, visitor: Visitor) -> None:
        """The page itself holds nothing; without a credential nobody from elsewhere could ever sign in to it."""
        if not visitor.local and not self.door.has_credential:
            _pass(self.door.may_look(visitor))

    def _handler(
        self, verb: str, endpoint: str, visitor: Visitor, scope: Scope, headers: Mapping[str, str]
    ) -> Handler:
        if verb == "GET" and endpoint in self._reads:
            return self._reads[endpoint]
        if verb == "POST" and endpoint in self._asks:
            _pass(self.door.same_origin(headers))
            return self._asks[endpoint]
        change = self._changes.get((verb, endpoint))
        if change is None:
            raise missing(f"endpoint {verb} {endpoint}")
        _pass(self.door.may_change(visitor, scope, headers))
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
        _pass(self.door.may_look(visitor) if reads else self.door.may_change(visitor, scope, headers))
        body = (await _request(scope, receive, headers, visitor, "")).body if verb == "POST" else {}
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
        if scope["method"] == "GET":
            if not visitor.local and not self.door.has_credential:
                _pass(self.door.may_look(visitor))
            state = {"signed_in": visitor.signed_in, "csrf": visitor.csrf, "local": visitor.local,
                     "may_look": self.door.may_look(visitor) is None, "has_credential": self.door.has_credential}  # fmt: skip
            return await _json(send, state)
        _pass(self.door.same_origin(headers))
        if scope["method"] == "DELETE":
            self.door.sign_out(headers)
            return await _json(send, {}, [(b"set-cookie", self.door.cookie("", scope, headers).encode())])
        if scope["method"] != "POST":
            raise missing("such way to a session")
        request = await _request(scope, receive, headers, visitor, "")
        opened = self.door.sign_in(request.text("token"), visitor.ip)
        refused = isinstance(opened, Refusal)
        if self._audit is not None:
            self._audit.action("admin", "sign in", outcome="refused" if refused else "ok", ip=visitor.ip)
        if isinstance(opened, Refusal):
            raise Refused(opened)
        await _json(send, {}, [(b"set-cookie", self.door.cookie(opened, scope, headers).encode())])


class _Static:
    """A file of the page, read once."""

    def __init__(self, body: bytes, media: str) -> None:
        self.body = body
        self.etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        self.headers: Headers = [(b"content-type", media.encode()), (b"etag", self.etag.encode()),
                                 (b"cache-control", b"no-cache")]  # fmt: skip

    @classmethod
    def read(cls, name: str) -> _Static:
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(files("gateway.admin").joinpath("static", name).read_bytes(), f"{media}; charset=utf-8")

    async def send(self, send: Send, headers: Mapping[str, str], verb: str) -> None:
        if headers.get("if-none-match") == self.etag:
            return await _send(send, 304, b"", self.headers)
        await _send(send, 200, b"" if verb == "HEAD" else self.body, self.headers)


def _pass(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refused(refusal)


async def _request(
    scope: Scope, receive: Receive, headers: Mapping[str, str], visitor: Visitor, name: str
) -> Request:
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


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    headers = [*SECURITY, *headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _json(send: Send, value: Any, headers: Headers | None = None) -> None:
    media: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    await _send(send, 200, body, [*media, *(headers or ())])


async def _refuse(send: Send, refusal: Refusal) -> None:
    headers: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    body = {"error": {"type": refusal.kind, "message": refusal.message}}
    await _send(send, refusal.status, orjson.dumps(body), headers)


async def _stream(send: Send, receive: Receive, events: AsyncIterator[bytes]) -> None:
    """Until the visitor leaves, which the server says through `receive`."""
    headers: Headers = [*SECURITY, (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_gone(receive))
    try:
        async for event in events:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
