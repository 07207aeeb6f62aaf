"""Keys out of JWKS and PEM, each pinned to what it may be used for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import PyJWKError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from gateway.errors import ConfigError
from gateway.identity.jwt import ALGORITHMS, SECRET_ALGORITHMS, Key

LIMIT = 100  # keys of one issuer
_RSA = frozenset(name for name in ALGORITHMS if name[:2] in ("RS", "PS"))
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_READERS: dict[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


def algorithms(material: object) -> frozenset[str]:
    """What a public key can verify; nothing for a key that is too small, or of a kind that is not accepted."""
    if isinstance(material, rsa.RSAPublicKey):
        return _RSA if material.key_size >= 2048 else frozenset()
    if isinstance(material, ec.EllipticCurvePublicKey):
        return frozenset({_CURVES[material.curve.name]} if material.curve.name in _CURVES else ())
    return frozenset({"EdDSA"} if isinstance(material, ed25519.Ed25519PublicKey) else ())


def read(document: bytes) -> list[Key]:
    """A JWKS document or PEM public keys. Raises ValueError where it is neither, or no key in it can be used."""
    keys = _pem(document) if b"-----BEGIN " in document else _jwks(document)
    if not keys:
        raise ValueError("holds no key that can verify a token")
    return keys


def _jwks(document: bytes) -> list[Key]:
    value = orjson.loads(document)
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise ValueError("is not a JWKS: it has no list of keys")
    return [key for entry in listed[:LIMIT] if isinstance(entry, dict) and (key := _jwk(entry)) is not None]


def _jwk(entry: Mapping[str, Any]) -> Key | None:
    """One key of a set; None for a key of another use. A shared secret has no place in a published set."""
    reader = _READERS.get(str(entry.get("kty")))
    operations = entry.get("key_ops", ["verify"])
    if reader is None or entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:  # fmt: skip
        return None
    try:
        material = reader.from_jwk({name: value for name, value in entry.items() if name != "d"})
    except (InvalidKeyError, PyJWKError, ValueError, TypeError, KeyError):
        return None
    able = algorithms(material)
    pinned = able & {entry["alg"]} if isinstance(entry.get("alg"), str) else able
    kid = entry.get("kid")
    return Key(pinned, material, kid if isinstance(kid, str) else None) if pinned else None


def _pem(document: bytes) -> list[Key]:
    keys = []
    for block in document.split(b"-----END")[:-1]:
        start = block.index(b"-----BEGIN ")
        text = block[start:] + b"-----END " + block[start + 11 :].partition(b"-----")[0] + b"-----\n"
        if b"PRIVATE KEY" in text:
            raise ValueError("holds a private key; the gateway wants the public one")
        found = load_pem_x509_certificate(text).public_key() if b"CERTIFICATE" in text else load_pem_public_key(text)  # fmt: skip
        able = algorithms(found)
        if able:
            keys.append(Key(able, found))
    return keys


def matching(keys: Sequence[Key], kid: str | None, algorithm: str) -> list[Key]:
    """With a kid the key of that name; a key without a name may have signed anything of its algorithm."""
    able = [key for key in keys if algorithm in key.algorithms]
    return [key for key in able if kid is None or key.id is None or key.id == kid]


class SecretKeys:
    """A secret shared with the issuer: HS256, HS384 or HS512, and nothing else."""

    def __init__(self, secret: str | bytes) -> None:
        material = secret.encode() if isinstance(secret, str) else secret
        if len(material) < 32:
            raise ConfigError(f"jwt.secret: at least 32 bytes, this one has {len(material)}")
        self._keys = [Key(SECRET_ALGORITHMS, material)]

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        return matching(self._keys, None, algorithm)
