"""What the client keeps for us: session ids and cursors, encrypted, bound to one principal and one purpose, expiring.

Any instance that knows the key can serve any request, so nothing has to be stored. The key is derived once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_REMEMBERED = 4096
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Broken(ValueError):
    """Not sealed by us, for somebody else, for another purpose, or expired."""


class Seal:
    """Seals values into visible ASCII. `secret` is the same on every instance; `nonce` makes 12 random bytes."""

    def __init__(
        self, secret: bytes, *, nonce: Callable[[], bytes], clock: Callable[[], float] = time.time
    ) -> None:
        if len(secret) < 32:
            raise ValueError("the sealing key needs at least 32 bytes")
        self._secret = secret
        self._nonce = nonce
        self._clock = clock
        self._opened: OrderedDict[tuple[str, str], tuple[float, Any]] = OrderedDict()

    def seal(self, value: Any, *, purpose: str, ttl: float) -> str:
        """`purpose` names what it is for and for whom: who opens it must say the same."""
        nonce = self._nonce()
        plain = _encode((self._clock() + ttl, value))
        sealed = nonce + self._cipher.encrypt(nonce, plain, purpose.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, *, purpose: str) -> Any:
        """Raises Broken."""
        known = self._opened.get((purpose, text))
        expires, value = known if known else self._decrypt(text, purpose)
        if expires < self._clock():
            raise Broken("expired")
        if known is None:
            self._opened[purpose, text] = expires, value
            if len(self._opened) > _REMEMBERED:
                self._opened.popitem(last=False)
        return value

    def tag(self, text: str, *, purpose: str) -> str:
        """Sixteen characters that only who knows the key can make for this text."""
        return hmac.digest(self._tagging, f"{purpose}\0{text}".encode(), "sha256").hex()[:16]

    @cached_property
    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._derived(b"asgi-gateway mcp seal v1"))

    @cached_property
    def _tagging(self) -> bytes:
        return self._derived(b"asgi-gateway mcp tag v1")

    def _derived(self, purpose: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(hashes.SHA256(), 32, None, purpose).derive(self._secret)

    def _decrypt(self, text: str, purpose: str) -> tuple[float, Any]:
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            expires, value = _decode(self._cipher.decrypt(sealed[:12], sealed[12:], purpose.encode()))
        except (binascii.Error, ValueError, InvalidTag, msgspec.DecodeError) as exc:
            raise Broken("not sealed for this") from exc
        return expires, value
