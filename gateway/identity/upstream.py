"""What the gateway shows upstream: its own credentials, never the caller's, unless the operator asks for exactly that.

A token is fetched when it is first needed, kept until shortly before it ends, and renewed by one caller while the others wait.
Nothing here is ever printed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import orjson

from gateway import refusals
from gateway.call import Call
from gateway.errors import ConfigError, Refused, UpstreamError, UpstreamTimeout
from gateway.identity.issuers import checked
from gateway.types import Headers

TIMEOUT = 10.0
MARGIN = 60.0  # seconds before its end at which a token is renewed, or half its life where that is shorter
LIFETIME = 300.0  # of a token that does not say
REMEMBERED = 1000
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
Scopes = Mapping[str, Sequence[str]]


class Credential(Protocol):
    async def headers(self, call: Call) -> Headers:
        """The headers for this call. Raises Refused and UpstreamError."""


class Static:
    """The same for everybody: `Static({"authorization": "Bearer …"})`."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def headers(self, call: Call) -> Headers:
        return list(self._headers)


class Passthrough:
    """The caller's own Authorization: only where the upstream trusts the same issuer as the gateway does."""

    async def headers(self, call: Call) -> Headers:
        shown = call.headers.get("authorization") or (f"Bearer {call.token}" if call.token else "")
        return [(b"authorization", shown.encode("latin-1"))] if shown else []


@dataclass(frozen=True, slots=True)
class Access:
    token: str = field(repr=False)
    renew: float
    ends: float


class Tokens:
    """Tokens by whom and what they are for; each is asked for once at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[object, Access] = {}
        self._asking: dict[object, asyncio.Task[Access]] = {}

    async def get(self, key: object, ask: Callable[[], Awaitable[Access]]) -> str:
        known, now = self._known.get(key), self._clock()
        if known is not None and now < known.renew:
            return known.token
        try:
            return (await asyncio.shield(self._once(key, ask))).token
        except UpstreamError:
            if known is not None and now < known.ends:
                return known.token
            raise

    def _once(self, key: object, ask: Callable[[], Awaitable[Access]]) -> asyncio.Task[Access]:
        loop = asyncio.get_running_loop()
        task = self._asking.get(key)
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._asking[key] = loop.create_task(self._ask(key, ask))
        return task

    async def _ask(self, key: object, ask: Callable[[], Awaitable[Access]]) -> Access:
        try:
            found = await ask()
        finally:
            self._asking.pop(key, None)
        self._known.pop(key, None)
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = found
        return found


class _Endpoint:
    """A token endpoint and who we are to it."""

    def __init__(
        self, url: str, client_id: str, secret: str, transport: httpx.AsyncBaseTransport | None, clock: Callable[[], float]
    ) -> None:  # fmt: skip
        self.url = checked(url, "token_url")
        self._basic = base64.b64encode(f"{quote(client_id, '')}:{quote(secret, '')}".encode()).decode() if client_id else ""  # fmt: skip
        self._transport, self._clock = transport, clock

    async def ask(self, form: Mapping[str, str]) -> Access:
        headers = {"accept": "application/json"} | ({"authorization": f"Basic {self._basic}"} if self._basic else {})  # fmt: skip
        started = self._clock()
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT) as client:
                response = await client.post(
                    self.url, data={k: v for k, v in form.items() if v}, headers=headers
                )
        except httpx.TimeoutException:
            raise UpstreamTimeout("its token endpoint does not answer") from None
        except httpx.HTTPError as error:
            raise UpstreamError(f"its token endpoint cannot be reached ({type(error).__name__})") from None
        return self._access(response, started)

    def _access(self, response: httpx.Response, started: float) -> Access:
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if response.status_code != 200 or not isinstance(token, str) or not token.isprintable():
            said = answer.get("error") if isinstance(answer, dict) else None
            why = f": {said}" if isinstance(said, str) and said.isidentifier() else ""
            raise UpstreamError(f"its token endpoint answers {response.status_code}{why}")
        seconds = answer.get("expires_in")
        life = float(seconds) if isinstance(seconds, (int, float)) and seconds > 0 else LIFETIME
        return Access(token, started + life - min(MARGIN, life / 2), started + life)


class ClientCredentials:
    """OAuth client credentials; an agent's own scopes only ever narrow those of the server."""

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        scopes: Sequence[str] = (),
        audience: str = "",
        agent_scopes: Scopes | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = _Endpoint(token_url, client_id, client_secret, transport, clock)
        self._scopes, self._audience = tuple(scopes), audience
        self._agents = agent_scopes or {}
        self._tokens = Tokens(clock)

    async def headers(self, call: Call) -> Headers:
        scopes = narrowed(self._scopes, self._agents, call)
        form = {"grant_type": "client_credentials", "scope": scopes, "audience": self._audience}
        return _bearer(await self._tokens.get(scopes, lambda: self._endpoint.ask(form)))


class TokenExchange:
    """RFC 8693: the caller's token for one that was made for this server."""

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str = "",
        client_secret: str = "",
        audience: str = "",
        resource: str = "",
        scopes: Sequence[str] = (),
        agent_scopes: Scopes | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = _Endpoint(token_url, client_id, client_secret, transport, clock)
        self._form = {"grant_type": EXCHANGE, "subject_token_type": ACCESS_TOKEN, "requested_token_type": ACCESS_TOKEN,
                      "audience": audience, "resource": resource}  # fmt: skip
        self._scopes = tuple(scopes)
        self._agents = agent_scopes or {}
        self._tokens = Tokens(clock)

    async def headers(self, call: Call) -> Headers:
        if not call.token:
            raise Refused(refusals.unauthorized("this server wants a token of yours to exchange, and you came without one"))  # fmt: skip
        scopes = narrowed(self._scopes, self._agents, call)
        form = {**self._form, "subject_token": call.token, "scope": scopes}
        key = (hashlib.sha256(call.token.encode()).digest(), scopes)
        return _bearer(await self._tokens.get(key, lambda: self._endpoint.ask(form)))


def narrowed(scopes: Sequence[str], agents: Scopes, call: Call) -> str:
    """The scopes to ask for, for the agent that calls. Raises Refused where none would be left."""
    own = agents.get(call.attribution.agent)
    if own is None:
        return " ".join(scopes)
    left = [scope for scope in own if not scopes or scope in scopes]
    if not left:
        raise Refused(refusals.forbidden(f"the agent {call.attribution.agent} has no scope for this server", policy="scope"))  # fmt: skip
    return " ".join(left)


def _bearer(token: str) -> Headers:
    return [(b"authorization", b"Bearer " + token.encode("latin-1"))]


def credential_from(section: Mapping[str, Any], *, agent_scopes: Scopes | None = None) -> Credential:
    """What a server's `auth` says. Exactly one way."""
    if len(section) != 1:
        raise ConfigError(f"auth: name one way, not {', '.join(section) or 'none'}")
    (way, value), = section.items()  # fmt: skip
    match way:
        case "bearer":
            return Static({"authorization": f"Bearer {value}"})
        case "headers":
            return Static(value)
        case "client_credentials":
            return ClientCredentials(**value, agent_scopes=agent_scopes)
        case "token_exchange":
            return TokenExchange(**value, agent_scopes=agent_scopes)
        case "passthrough" if value:
            return Passthrough()
    raise ConfigError(
        f"auth: {way} is none of bearer, headers, client_credentials, token_exchange, passthrough: true"
    )
