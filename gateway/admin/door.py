"""Who may look at the page, and who may change anything.

A browser carries cookies wherever it is sent, and a page elsewhere can send it here: a change needs the session's cookie, the
token that only this page knows, and this page's own origin. A name that an attacker points at 127.0.0.1 is kept out by the Host
header. Without a credential the page answers loopback only, and changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import Refused
from gateway.refusals import Refusal, forbidden
from gateway.types import Scope

COOKIE: Final = "gateway_admin"
LASTS: Final = 12 * 3600
TRIES: Final = 5  # wrong credentials a minute, from one address
ALL_TRIES: Final = 30  # from all of them
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "fly-client-ip", "cf-connecting-ip")


@dataclass(frozen=True, slots=True)
class Visitor:
    ip: str
    local: bool
    signed_in: bool
    csrf: str = ""  # what the page sends with each change


class Door:
    """`Door(token="…")`: decides for each request to the page."""

    def __init__(self, *, token: str = "", clock: Callable[[], float] = time.time) -> None:
        self._credential = hashlib.sha256(token.encode()).digest() if token else b""
        self._key = hashlib.sha256(b"gateway admin session:" + token.encode()).digest() if token else b""
        self._clock = clock
        self._wrong: deque[tuple[float, str]] = deque(maxlen=1000)
        self._ended: dict[str, float] = {}  # sessions that were signed out, until they would have ended

    @property
    def has_credential(self) -> bool:
        return bool(self._credential)

    def visitor(self, scope: Scope, headers: Mapping[str, str]) -> Visitor:
        ip = (scope.get("client") or ("", 0))[0]
        local = _loopback(ip) and _host(headers) in _LOCAL and not any(name in headers for name in _PROXIED)
        session = self._session(headers)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        refused = self._try(bearer, ip) if self._credential and scheme.lower() == "bearer" else None
        if refused is not None and refused.status == 429:
            raise Refused(refused)
        by_token = bool(self._credential) and scheme.lower() == "bearer" and refused is None
        csrf = self._sign("csrf " + session) if session else ""
        return Visitor(ip, local, bool(session) or by_token, csrf)

    def may_look(self, visitor: Visitor) -> Refusal | None:
        if visitor.local or visitor.signed_in:
            return None
        if not self._credential:
            return forbidden(
                "this page answers its own machine only; set admin.token to reach it from elsewhere",
                policy="admin",
            )
        return Refusal(401, "authentication_error", "sign in with the admin credential", "admin")

    def may_change(self, visitor: Visitor, headers: Mapping[str, str]) -> Refusal | None:
        if not visitor.signed_in:
            what = "sign in first" if self._credential else "set admin.token, then sign in"
            return Refusal(401, "authentication_error", f"the page is read-only: {what}", "admin")
        if not visitor.csrf:
            return None  # by a bearer token, which no other page can make a browser send
        if not _same(headers.get("x-gateway-csrf", ""), visitor.csrf):
            return forbidden("this change did not come from the page", policy="admin", rule="csrf")
        return self.same_origin(headers)

    def same_origin(self, headers: Mapping[str, str]) -> Refusal | None:
        origin = headers.get("origin", "")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin and urlsplit(origin).netloc != headers.get("host", "")
        ):
            return forbidden("this request comes from another site", policy="admin", rule="origin")
        return None

    def sign_in(self, given: str, ip: str) -> str | Refusal:
        """The session's cookie value, or why not."""
        refused = self._try(given, ip)
        if refused is not None:
            return refused
        body = f"{int(self._clock() + LASTS)}.{secrets.token_urlsafe(18)}"
        return f"{body}.{self._sign(body)}"

    def _try(self, given: str, ip: str) -> Refusal | None:
        now = self._clock()
        recent = [who for at, who in self._wrong if at > now - 60]
        if recent.count(ip) >= TRIES or len(recent) >= ALL_TRIES:
            return Refusal(
                429, "rate_limit_error", "too many wrong credentials; wait a minute", "admin", retry_after=60
            )
        if not self._credential or not self._fits(given):
            self._wrong.append((now, ip))
            return Refusal(401, "authentication_error", "that is not the admin credential", "admin")
        return None

    def sign_out(self, headers: Mapping[str, str]) -> None:
        now = self._clock()
        self._ended = {session: until for session, until in self._ended.items() if until > now}
        if session := self._session(headers):
            self._ended[session] = now + LASTS

    def cookie(self, value: str, scope: Scope, headers: Mapping[str, str]) -> str:
        secure = scope.get("scheme") == "https" or headers.get("x-forwarded-proto") == "https"
        age = LASTS if value else 0
        return f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict" + (
            "; Secure" if secure else ""
        )

    def _fits(self, given: str) -> bool:
        digest = hashlib.sha256(given.encode()).digest()
        return bool(self._credential) and hmac.compare_digest(digest, self._credential)

    def _sign(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def _session(self, headers: Mapping[str, str]) -> str:
        """The signed part of a cookie that is ours and still valid."""
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        body, _, signature = found.value.rpartition(".") if found else ("", "", "")
        if not body or not self._key or not _same(self._sign(body), signature):
            return ""
        alive = int(body.partition(".")[0]) > self._clock()
        return body if alive and body not in self._ended else ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _loopback(ip: str) -> bool:
    return ip in ("::1", "::ffff:127.0.0.1") or ip.startswith("127.")


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit("//" + headers.get("host", "")).hostname or ""
    except ValueError:
        return ""
