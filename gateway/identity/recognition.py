"""From a credential's text to a principal, remembered under a digest of the whole text until it may have changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.call import Principal
from gateway.identity import jwt
from gateway.identity.jwt import InvalidToken, Verifier
from gateway.identity.keys import Found

REMEMBERED = 10_000  # credentials
LONGEST = 300.0  # seconds: a key that an issuer has withdrawn is noticed after this at the latest
V = TypeVar("V")
UNKNOWN = 1.0  # seconds for which a key that nobody knows is not looked up again


class Recognition:
    """`Recognition(jwt=[verifier], keys=[StoredKeys(store)])`; `of(text)` is the principal.

    Raises InvalidToken with the check that failed, KeysUnavailable and StoreError where nobody can say.
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
        self._unknown: dict[
            bytes, float
        ] = {}  # apart, so that a flood of these displaces nobody who is known

    async def of(self, text: str) -> Principal:
        digest = hashlib.sha256(text.encode()).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and known[1] > now:
            return known[0]
        principal = None if self._unknown.get(digest, 0.0) > now else await self._recognise(text)
        if principal is None:
            _keep(self._unknown, digest, now + UNKNOWN)
            raise InvalidToken("the key is unknown, expired or revoked")
        _keep(self._known, digest, (principal, min(principal.expires, now + LONGEST)))
        return principal

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


def _keep(places: dict[bytes, V], digest: bytes, value: V) -> None:
    places.pop(digest, None)
    if len(places) >= REMEMBERED:
        del places[next(iter(places))]
    places[digest] = value
