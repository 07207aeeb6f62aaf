"""Tokens: what one must be before anything in it is believed.

PyJWT checks the signature; everything around it is stricter here. The algorithm is the key's, never the token's. A header
that brings a key along, points at one, or names an extension is refused. The clock is an argument.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from msgspec import Struct

from gateway.call import Principal
from gateway.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from jwt import PyJWS

LENGTH = 16_384  # characters of a token
LEEWAY = 60.0
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# `b64` changes what is signed, the others bring or fetch a key; `crit` names what we must understand and do not.
_FORBIDDEN = ("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc")


class InvalidToken(GatewayError):
    """Which check failed, in words for whoever holds the token."""


class KeysUnavailable(GatewayError):
    """The issuer's keys cannot be had, so nobody can say whether the token is good."""


class Key(Struct, frozen=True):
    """A verification key and the only algorithms it may be used with."""

    algorithms: frozenset[str]
    material: Any
    id: str | None = None


class Keys(Protocol):
    """Where an issuer's keys come from."""

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """The keys that may have signed this, none where there is no such key. Raises KeysUnavailable."""


class Token(Struct, frozen=True):
    """A token taken apart, nothing of it verified."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        return str(self.header.get("alg", ""))

    @property
    def kid(self) -> str | None:
        return self.header.get("kid")


def looks_like_one(text: str) -> bool:
    return text.count(".") == 2 and text.startswith("ey")


def parse(text: str) -> Token:
    """Raises InvalidToken for what no issuer of ours would have made."""
    if len(text) > LENGTH:
        raise InvalidToken("the token is too long")
    if _SHAPE.fullmatch(text) is None:
        raise InvalidToken("the token is not three parts of unpadded base64url")
    head, body, signature = text.split(".")
    header, claims = _members(head, "header"), _members(body, "payload")
    _decoded(signature, "signature")
    for name in _FORBIDDEN:
        if name in header:
            raise InvalidToken(f"the token's header holds {name}, which is not accepted")
    if not isinstance(header.get("kid", ""), str):
        raise InvalidToken("the token's kid is not a string")
    return Token(text, header, claims)


def _members(part: str, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_decoded(part, name))
    except orjson.JSONDecodeError:
        raise InvalidToken(f"the token's {name} is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken(f"the token's {name} is not a JSON object")
    return value


def _decoded(part: str, name: str) -> bytes:
    """The same bytes must not have a second spelling: the last character may carry bits that decoding drops."""
    from jwt.utils import base64url_decode, base64url_encode

    try:
        decoded = base64url_decode(part)
    except ValueError:
        raise InvalidToken(f"the token's {name} is not base64url") from None
    if base64url_encode(decoded).decode() != part:
        raise InvalidToken(f"the token's {name} is not base64url")
    return decoded


class Verifier:
    """Accepts the tokens of one issuer: `Verifier(issuer="https://idp", audiences=["https://me/mcp"], keys=…)`."""

    def __init__(
        self,
        *,
        issuer: str,
        keys: Keys,
        audiences: Sequence[str] = (),
        algorithms: Sequence[str] = (),
        scopes: Sequence[str] = (),
        leeway: float = LEEWAY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        unknown = set(algorithms) - ALGORITHMS - SECRET_ALGORITHMS
        if unknown:
            raise ConfigError(f"jwt.algorithms: {', '.join(sorted(unknown))} is not supported")
        self.issuer = issuer
        self.keys = keys
        self.audiences = frozenset(audiences)
        self.algorithms = frozenset(algorithms)
        self.scopes = frozenset(scopes)
        self.leeway = leeway
        self._clock = clock

    def bound_to(self, resource: str) -> Verifier:
        """The same for tokens that were made for this resource, where no audience was set."""
        if self.audiences:
            return self
        return Verifier(issuer=self.issuer, keys=self.keys, audiences=[resource], scopes=tuple(self.scopes),
                        algorithms=tuple(self.algorithms), leeway=self.leeway, clock=self._clock)  # fmt: skip

    async def verify(self, token: Token) -> Principal:
        """Raises InvalidToken or KeysUnavailable."""
        await self._signature(token)
        for _, check in self._claim_checks():
            check(token.claims)
        return _principal(token.claims, _scopes(token.claims))

    async def explain(self, token: Token) -> list[tuple[str, str]]:
        """Every check by name, with what failed (empty where it passed)."""
        found = [("signature", "")]
        try:
            await self._signature(token)
        except (InvalidToken, KeysUnavailable) as error:
            found = [("signature", str(error))]
        for name, check in self._claim_checks():
            try:
                check(token.claims)
            except InvalidToken as error:
                found.append((name, str(error)))
            else:
                found.append((name, ""))
        return found

    def _claim_checks(self) -> tuple[tuple[str, Callable[[Mapping[str, Any]], None]], ...]:
        return ("times", self._times), ("audience", self._audience), ("scopes", self._required_scopes)

    async def _signature(self, token: Token) -> None:
        algorithm = token.algorithm
        if self.algorithms and algorithm not in self.algorithms:
            raise InvalidToken(f"the token's algorithm {algorithm!r} is not accepted")
        candidates = await self.keys.find(token.kid, algorithm)
        if not candidates:
            raise InvalidToken(f"the issuer has no key {token.kid!r} for the algorithm {algorithm!r}")
        for key in candidates:
            if algorithm in key.algorithms and _signed_by(key, algorithm, token.text):
                return
        raise InvalidToken("the token's signature is wrong")

    def _times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if "exp" not in claims:
            raise InvalidToken("the token has no exp")
        if _number(claims, "exp") <= now - self.leeway:
            raise InvalidToken("the token has expired")
        for name, what in (("nbf", "is not valid yet"), ("iat", "was issued in the future")):
            if name in claims and _number(claims, name) > now + self.leeway:
                raise InvalidToken(f"the token {what} (is a clock wrong?)")

    def _required_scopes(self, claims: Mapping[str, Any]) -> None:
        missing = self.scopes - _scopes(claims)
        if missing:
            raise InvalidToken(f"the token lacks the scope {' '.join(sorted(missing))}")

    def _audience(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise InvalidToken("the token has no aud" if audience is None else "the token's aud is not a string or a list of strings")  # fmt: skip
        if self.audiences.isdisjoint(named):
            raise InvalidToken(f"the token is for {', '.join(named)}, not for {' or '.join(sorted(self.audiences))}")  # fmt: skip


def _signed_by(key: Key, algorithm: str, text: str) -> bool:
    from jwt import InvalidTokenError

    try:
        _signatures().decode(text, key=key.material, algorithms=[algorithm])
    except InvalidTokenError:
        return False
    return True


@cache
def _signatures() -> PyJWS:
    """PyJWT and what it brings take as long to import as all of ours; who uses keys only does without."""
    from jwt import PyJWS

    return PyJWS(options={"verify_signature": True})


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidToken(f"the token's {name} is not a number")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    listed = claims.get("scope", claims.get("scp", ""))
    named = listed.split() if isinstance(listed, str) else listed
    return (
        frozenset(name for name in named if isinstance(name, str)) if isinstance(named, list) else frozenset()
    )


def _principal(claims: Mapping[str, Any], scopes: frozenset[str]) -> Principal:
    subject = _first(claims, "sub", "client_id", "azp", "email")
    groups = claims.get("groups", claims.get("roles", ()))
    listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    return Principal(
        f"jwt:{claims.get('iss', '')}#{subject}",
        "jwt",
        name=_first(claims, "email", "preferred_username", "name", "sub", "client_id"),
        groups=tuple(group for group in listed if isinstance(group, str)),
        scopes=scopes,
        claims=claims,
        expires=_number(claims, "exp"),
    )


def _first(claims: Mapping[str, Any], *names: str) -> str:
    return next((claims[name] for name in names if isinstance(claims.get(name), str) and claims[name]), "")
