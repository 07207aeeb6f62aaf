from __future__ import annotations

from gateway.errors import GatewayError


class CelError(GatewayError):
    """An expression has no value: something it reads is absent, or of a type it cannot work with."""
