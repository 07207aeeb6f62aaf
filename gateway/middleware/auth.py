"""Who calls? Turns credentials into a `Principal`, or refuses with 401. Never reads the body."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Literal

from msgspec import Struct

from gateway import refusals
from gateway.call import Attribution, Call, Verdict
from gateway.errors import BadRequest, ConfigError, StoreError, StoreUnusable
from gateway.heads import Head
from gateway.identity import credentials, network
from gateway.identity.attribution import Attributing
from gateway.identity.credentials import QUERY_MESSAGE, Credential
from gateway.identity.jwt import InvalidToken, KeysUnavailable, Verifier
from gateway.identity.keys import Found
from gateway.identity.recognition import Caller, Recognition
from gateway.mcp.metadata import Resource
from gateway.refusals import Refusal
from gateway.types import App, Headers, Receive, Scope, Send

log = logging.getLogger("gateway")
Mode = Literal["strict", "optional", "permissive"]
OPEN = ("/healthz", "/health", "/readyz")
MISSING = "this gateway wants a credential: send Authorization: Bearer TOKEN, or a gateway key as x-api-key"


class AuthMiddleware:
    """Recognises JWTs and keys.

    `AuthMiddleware(app, jwt=[Verifier(issuer=…, audiences=[…], keys=RemoteKeys(url=…))], keys=[StoredKeys(store)])`

    `mode` says what becomes of a call without a credential (`strict` refuses it) and with a bad one (`permissive` lets it
    pass as nobody). `resource` makes this an OAuth resource: tokens must be made for it, unless a verifier names audiences.
    `trusted_hops` is the number of proxies in front; `ip_header` a header that the platform sets instead of them.
    """

    def __init__(
        self,
        app: App,
        *,
        mode: Mode = "strict",
        jwt: Sequence[Verifier] = (),
        keys: Sequence[Found] = (),
        attribution: Attributing | None = None,
        resource: Resource | None = None,
        trusted_hops: int = 0,
        ip_header: str = "",
        query_tokens: bool = False,
        open_paths: Sequence[str] = OPEN,
        enforce: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.mode = mode
        self.resource = resource
        self.attribution = attribution or Attributing()
        self.trusted_hops, self.ip_header = trusted_hops, ip_header
        self.query_tokens = query_tokens
        self.open_paths = frozenset(open_paths)
        self.enforce = enforce
        self._clock = clock
        self._recognition = Recognition(jwt=[_bound(each, resource) for each in jwt], keys=keys, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        call.look(scope)
        came, closed = call.head, call.path not in self.open_paths
        known = self._known(scope, came) if closed else None
        if known is not None:
            known.admit(call)
            call.show(scope, known.head)
        elif forged := network.internal(call.headers):
            _hide(call, scope, forged)
        if self.trusted_hops > 0 or self.ip_header:
            call.ip = network.address(
                call.ip, scope["headers"], hops=self.trusted_hops, header=self.ip_header
            )
        if call.verb != "POST" and (told := self._told(call, send)) is not None:
            return await told
        if closed:
            started = call.timed and time.perf_counter_ns()
            refusal = await self._asked(call, scope, came) if known is None else None
            if started:
                call.took("auth", started)
            if refusal is not None and self._refused(call, refusal):
                return await refusals.send_refusal(call, refusal, send)
        if known is None and network.KEY_HEADER in call.headers:
            _hide(call, scope, (network.KEY_HEADER,))
        await self.app(scope, receive, send)

    def _known(self, scope: Scope, came: Head) -> _Known | None:
        """What was found for this head a while ago."""
        known: _Known | None = came.known.get(self)
        if (
            known is None
            or known.until <= self._clock()
            or credentials.mentioned(scope.get("query_string", b""))
        ):
            return None
        return known

    def _told(self, call: Call, send: Send) -> Awaitable[None] | None:
        """The answer to what anybody may ask."""
        if call.verb == "HEAD" and _probe(call):
            return _answer(send, b"", b"text/plain")
        if self.resource is not None and call.path == self.resource.metadata_path and call.verb == "GET":
            return _answer(send, self.resource.document(), b"application/json")
        return None

    def _refused(self, call: Call, refusal: Refusal) -> bool:
        action: Literal["refuse", "would_refuse"] = "refuse" if self.enforce else "would_refuse"
        call.verdicts.append(Verdict("auth", action, refusal.rule or refusal.kind, refusal.message))
        return self.enforce

    async def _asked(self, call: Call, scope: Scope, came: Head) -> Refusal | None:
        """Admits the caller, unless there is a reason not to."""
        caller = await self._identified(call, scope)
        if isinstance(caller, Refusal):
            return caller
        attribution = self.attribution.of(caller.principal, call.headers)
        if caller.headers or network.KEY_HEADER in call.headers:
            _hide(call, scope, (*caller.headers, network.KEY_HEADER))
        known = _Known(caller, attribution, call.head, caller.until)
        known.admit(call)
        if lacking := self.attribution.missing(attribution):
            return refusals.forbidden(lacking, policy="auth", rule="attribution")
        if not (came.repeats or "" in caller.headers or self.attribution.changes):
            came.known[self] = known
        return None

    async def _identified(self, call: Call, scope: Scope) -> Caller | Refusal:
        try:
            caller = await self._recognition.of(self._shown(call, scope))
        except (BadRequest, InvalidToken, KeysUnavailable, StoreError) as error:
            if self.mode != "permissive" or not isinstance(error, InvalidToken):
                return self._unknown(call, error)
            caller = Caller()
        return caller if caller.headers or self.mode != "strict" else self._unauthorized(MISSING)

    def _shown(self, call: Call, scope: Scope) -> list[Credential]:
        shown = credentials.read(call.headers, scope["headers"])
        in_query = credentials.in_query(scope, alone=not shown) if scope.get("query_string") else []
        if in_query and not self.query_tokens:
            raise InvalidToken(QUERY_MESSAGE)
        return shown + in_query

    def _unknown(self, call: Call, error: Exception) -> Refusal:
        if isinstance(error, BadRequest):
            return refusals.invalid(str(error))
        if isinstance(error, InvalidToken):
            return self._unauthorized(str(error), error="invalid_token")
        log.error("%s: who calls cannot be checked: %s", call.id, error)
        if isinstance(error, StoreUnusable):
            return refusals.overloaded(f"the gateway's store is not set up: {error}")
        return refusals.overloaded("the gateway cannot check now who you are; try again")

    def _unauthorized(self, message: str, *, error: str = "") -> Refusal:
        described = message if error else ""
        value = (
            "Bearer" if self.resource is None else self.resource.challenge(error=error, description=described)
        )
        return refusals.unauthorized(message, headers=(("www-authenticate", value),))


class _Known(Struct, eq=False):
    """What a head has shown: who calls, and what of it anybody inside sees."""

    caller: Caller
    attribution: Attribution
    head: Head
    until: float

    def admit(self, call: Call) -> None:
        call.principal, call.token, call.attribution = (
            self.caller.principal,
            self.caller.token,
            self.attribution,
        )


def _bound(verifier: Verifier, resource: Resource | None) -> Verifier:
    if not verifier.audiences and resource is None:
        raise ConfigError(f"jwt: the issuer {verifier.issuer} needs audiences, or the route a resource URL")
    return verifier if resource is None else verifier.bound_to(resource.url)


def _probe(call: Call) -> bool:
    """Claude Code asks this way whether anybody is there, without a credential."""
    route = call.route.rstrip("/")
    return call.path in ("/", "/api/hello", route, f"{route}/", f"{route}/api/hello")


def _hide(call: Call, scope: Scope, names: Collection[str]) -> None:
    """No rule, log or upstream sees these headers ("" stands for the tokens in the query)."""
    if "" in names:
        call.query = credentials.query_without(call.query)
        scope["query_string"] = call.query.encode("latin-1")
    call.show(scope, call.head.without(names))


async def _answer(send: Send, body: bytes, media: bytes) -> None:
    headers: Headers = [(b"content-type", media), (b"content-length", b"%d" % len(body)),
                        (b"access-control-allow-origin", b"*")]  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
