"""Every exception the package raises on purpose.

GatewayError
├── ConfigError         the file or the arguments are wrong (start-up, reload, `check`)
├── Refused             a policy said no; carries the Refusal that the client is shown
├── BadRequest          the client's bytes are not a request; rendered as a 4xx
├── ClientGone          the client left; nothing more can be sent
├── UpstreamError       the upstream failed
│   ├── UpstreamTimeout     it was silent for too long
│   └── UpstreamClosed      the connection could not be made, or broke
└── StoreError          the store is slow, absent, throttled, or says no
    ├── StoreUnusable       its account is not set up: no table, no permission; trying again does not help
    └── Unwritable          what was to be written is nothing that it can hold; other things it takes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.refusals import Refusal

# What msgspec raises of bytes that it cannot read: no JSON, no UTF-8, nested too deeply.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class GatewayError(Exception):
    pass


class ConfigError(GatewayError):
    pass


class Refused(GatewayError):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class BadRequest(GatewayError):
    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ClientGone(GatewayError):
    pass


class UpstreamError(GatewayError):
    """`plain` is what a client may know of it: nothing of where the upstream is."""

    def __init__(self, message: str, *, plain: str = "") -> None:
        super().__init__(message)
        self.plain = plain or message


class UpstreamTimeout(UpstreamError):
    pass


class UpstreamClosed(UpstreamError):
    """`sent` is False when no byte of the request can have been acted upon, so it may be sent again."""

    def __init__(self, message: str, *, sent: bool = True, plain: str = "") -> None:
        super().__init__(message, plain=plain)
        self.sent = sent


class StoreError(GatewayError):
    pass


class StoreUnusable(StoreError):
    """What is missing is said so that whoever runs the gateway can act on it."""


class Unwritable(StoreError):
    pass
