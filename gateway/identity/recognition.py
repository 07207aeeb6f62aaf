"""From what a request shows to who calls, remembered under digests of whole texts until it may have changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from gateway.call import ANONYMOUS, Principal
from gateway.errors import BadRequest
from gateway.identity import jwt
from gateway.identity.credentials import Credential
from gateway.identity.jwt import InvalidToken, Verifier, looks_like_one
from gateway.identity.keys import Found

REMEMBERED = 10_000  # credentials
LONGEST = 300.0  # seconds: a key that an issuer has withdrawn is noticed after this at the latest
V = TypeVar("V")
UNKNOWN = 1.0  # seconds for which a key that nobody knows is not looked up again


class Caller(Struct, frozen=True, gc=False):
    """Who calls, and by which headers; the same ones say the same until `until`."""

    principal: Principal = ANONYMOUS
    headers: tuple[str, ...] = ()
    token: str = ""  # the JWT, where it is one
    until: float = 0.0


class Recognition:
    """`Recognition(jwt=[verifier], keys=[StoredKeys(store)])`; `of(shown)` is the caller.

    Raises InvalidToken with the check that failed, BadRequest for credentials of two callers, KeysUnavailable and StoreError
    where nobody can say.
    """

    def __init__(
        self,
        *,
        jwt: Sequence[Verifier] = (),
        keys: Sequence[Found] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers: dict[str, list[Verifier]] = {}
        for verifier in jwt:
            self._issuers.setdefault(verifier.issuer, []).append(verifier)
        self._keys = tuple(keys)
        self._clock = clock
        self._known: dict[bytes, tuple[Principal, float]] = {}
        # Apart, so that a flood of these displaces nobody who is known.
        self._unknown: dict[bytes, float] = {}

    async def of(self, shown: Sequence[Credential]) -> Caller:
        """Whose these are; nobody's where there are none. A client may send its provider's own credential beside ours.
        As long as one of them is not known, `until` is over at once."""
        if len(shown) == 1:
            (single,) = shown
            return _caller((single,), *await self._one(single.text))
        found: dict[Credential, tuple[Principal, float]] = {}
        failed: InvalidToken | None = None
        for credential in shown:
            try:
                found[credential] = await self._one(credential.text)
            except InvalidToken as error:
                failed = error if failed is None or looks_like_one(credential.text) else failed
        if not found:
            if failed is not None:
                raise failed
            return Caller()
        principal = next(iter(found.values()))[0]
        if any(other.id != principal.id for other, _ in found.values()):
            raise BadRequest("the request carries credentials of two different callers")
        until = min(until for _, until in found.values()) if failed is None else 0.0
        return _caller(tuple(found), principal, until)

    async def _one(self, text: str) -> tuple[Principal, float]:
        digest = hashlib.sha256(text.encode()).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and known[1] > now:
            return known
        principal = None if self._unknown.get(digest, 0.0) > now else await self._recognise(text)
        if principal is None:
            _keep(self._unknown, digest, now + UNKNOWN)
            raise InvalidToken("the key is unknown, expired or revoked")
        known = principal, min(principal.expires, now + LONGEST)
        _keep(self._known, digest, known)
        return known

    async def _recognise(self, text: str) -> Principal | None:
        if self._issuers and jwt.looks_like_one(text):
            return await self._verified(jwt.parse(text))
        for keys in self._keys:
            if (principal := await keys.find(text)) is not None:
                return principal
        return None

    async def _verified(self, token: jwt.Token) -> Principal:
        verifiers = self._issuers.get(str(token.claims.get("iss", "")))
        if not verifiers:
            raise InvalidToken("the token's issuer is not one that this gateway trusts")
        failed = InvalidToken("the token is not accepted")
        for verifier in verifiers:
            try:
                return await verifier.verify(token)
            except InvalidToken as error:
                failed = error
        raise failed


def _caller(shown: tuple[Credential, ...], principal: Principal, until: float) -> Caller:
    headers = tuple([credential.header for credential in shown])
    return Caller(principal, headers, shown[0].text if principal.kind == "jwt" else "", until)


def _keep(places: dict[bytes, V], digest: bytes, value: V) -> None:
    places.pop(digest, None)
    if len(places) >= REMEMBERED:
        del places[next(iter(places))]
    places[digest] = value
