"""An identity provider for tests: keys that can be rotated, tokens of any shape, and a JWKS URL that counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.identity import jwks
from gateway.identity.jwt import Key

ISSUER = "https://idp.example.com"
AUDIENCE = "https://tools.example.com/mcp"
NOW = 1_800_000_000.0

_RSA = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def b64(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.private: dict[str, Any] = {"k1": _RSA[0]}
        self.extra: dict[str, dict[str, Any]] = {}  # members added to a published key
        self.requests: list[str] = []
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None

    def rotate(self) -> None:
        self.private = {"k2": _RSA[1]}

    def curve(self, kid: str = "e1", curve: Any = ec.SECP256R1) -> None:
        self.private[kid] = ec.generate_private_key(curve())

    def edwards(self, kid: str = "d1") -> None:
        self.private[kid] = ed25519.Ed25519PrivateKey.generate()

    def published(self) -> list[dict[str, Any]]:
        return [
            {**self._public(key), "kid": kid, **self.extra.get(kid, {})} for kid, key in self.private.items()
        ]

    @staticmethod
    def _public(key: Any) -> dict[str, Any]:
        reader = (
            RSAAlgorithm
            if isinstance(key, rsa.RSAPrivateKey)
            else ECAlgorithm
            if isinstance(key, ec.EllipticCurvePrivateKey)
            else OKPAlgorithm
        )
        return json.loads(reader.to_jwk(key.public_key()))  # type: ignore[attr-defined, no-any-return]

    def jwks(self) -> bytes:
        return json.dumps({"keys": self.published()}).encode()

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """As a verifier asks for keys that are at hand."""
        return jwks.matching(jwks.read(self.jwks()), kid, algorithm)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._serve)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(str(request.url))
        if self.answer is not None:
            return self.answer(request)
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"})
        return httpx.Response(200, content=self.jwks())

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock()
        base = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "email": "ada@example.com"}  # fmt: skip
        return {name: value for name, value in {**base, **changes}.items() if value is not ...}

    def token(self, *, kid: str = "", alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:  # fmt: skip
        kid = kid or next(iter(self.private))
        return jwt.encode(
            self.claims(**claims), self.private[kid], alg, headers={"kid": kid, **(header or {})}
        )
