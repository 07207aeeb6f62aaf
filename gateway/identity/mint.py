"""Key pairs and tokens made here: for a gateway without an identity provider, for scripts and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.errors import ConfigError

_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def pair(algorithm: str = "RS256") -> tuple[bytes, bytes]:
    """A private and a public key, as PEM."""
    if algorithm not in _MAKERS:
        raise ConfigError(f"no key pairs for {algorithm}; there are {', '.join(_MAKERS)}")
    private = _MAKERS[algorithm]()
    return (private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))  # fmt: skip


def algorithm_of(private: bytes) -> str:
    try:
        key = load_pem_private_key(private, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"not a private key that can be read: {error}") from error
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        return "ES256"
    raise ConfigError("private keys must be RSA, Ed25519 or P-256")


def token(
    claims: Mapping[str, Any], *, key: bytes, at: float, lifetime: float, secret: bool = False, kid: str = ""
) -> str:
    """A signed token; `key` is a private key, or with `secret` the secret itself."""
    algorithm = "HS256" if secret else algorithm_of(key)
    stamped = {"iat": int(at), "nbf": int(at), "exp": int(at + lifetime), **claims}
    return jwt.encode(stamped, key, algorithm, headers={"kid": kid} if kid else None)
