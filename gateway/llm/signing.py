"""How a request to a provider proves who we are: a static key, a bearer token, an AWS signature, a Google token.

`Signer.sign` takes the finished request (an AWS signature covers the exact bytes sent) and returns the headers to send.
botocore and google-auth are imported by the signers that need them, when the configuration makes one; both look up and
renew credentials with blocking calls, which run in a thread and only when something is due.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway.errors import ConfigError
from gateway.types import Headers

_NAME = itemgetter(0)
GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Signer(Protocol):
    def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers | Awaitable[Headers]:
        """A list, where nothing has to be waited for."""


class KeySigner:
    """A fixed credential in one header: `KeySigner("x-api-key", key)`, or `bearer(key)`."""

    __slots__ = ("_name", "_value")

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name.encode(), value.encode()

    def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        if self._name in map(_NAME, headers):
            headers = _without(headers, self._name)
        return [*headers, (self._name, self._value)]


def bearer(token: str) -> KeySigner:
    return KeySigner("authorization", "Bearer " + token)


class Unsigned:
    """For upstreams that ask for no credential (a local model server), and for `passthrough`."""

    __slots__ = ()

    def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        return headers


FIXED = (KeySigner, Unsigned)  # what they say does not depend on what is asked


def _without(headers: Headers, *names: bytes) -> Headers:
    return [pair for pair in headers if pair[0].lower() not in names]


def _now() -> datetime:
    return datetime.now(UTC)


class AwsSigner:
    """Signature version 4.

    Only `host`, `content-type` and AWS's own headers are signed: what a proxy adds or drops on the way breaks nothing.

    Arguments: `region`; `service` (`bedrock`); `credentials` (botocore's Credentials; None looks them up as every AWS
    program does: environment, profile, container, instance); `clock`.
    """

    def __init__(
        self,
        *,
        region: str,
        service: str = "bedrock",
        credentials: Any = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
        except ImportError as error:
            raise ConfigError(
                "signing for AWS needs the extra `aws`: pip install 'asgi-gateway[aws]'"
            ) from error
        self._auth, self._request = SigV4Auth, AWSRequest
        self._region, self._service, self._clock = region, service, clock
        self._credentials = credentials
        self._lock = threading.Lock()

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        frozen = await self._frozen()
        kept = _without(
            headers,
            b"authorization",
            b"host",
            b"x-amz-date",
            b"x-amz-security-token",
            b"x-amz-content-sha256",
        )
        signed = {
            name.decode(): value.decode("latin-1") for name, value in kept if name.lower() == b"content-type"
        }
        signed["X-Amz-Date"] = self._clock().strftime("%Y%m%dT%H%M%SZ")
        if frozen.token:
            signed["X-Amz-Security-Token"] = frozen.token
        request = self._request(method=method, url=url, data=body, headers=signed)
        request.context["timestamp"] = signed["X-Amz-Date"]
        auth = self._auth(frozen, self._service, self._region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        names = auth.signed_headers(auth.headers_to_sign(request))
        value = f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={auth.signature(text, request)}"
        added = [(b"host", urlsplit(url).netloc.encode()), (b"authorization", value.encode())]
        added += [(k.lower().encode(), v.encode()) for k, v in signed.items() if k.lower() != "content-type"]
        return [*kept, *added]

    async def _frozen(self) -> Any:
        """Access key, secret and token as of now. Renewable credentials may ask a metadata service first."""
        if self._credentials is not None and not _due(self._credentials):
            return self._credentials.get_frozen_credentials()
        return await asyncio.to_thread(self._renewed)

    def _renewed(self) -> Any:
        with self._lock:
            if self._credentials is None:
                self._credentials = _aws_credentials()
            return self._credentials.get_frozen_credentials()


def _due(credentials: Any) -> bool:
    needed = getattr(credentials, "refresh_needed", None)
    return bool(needed is not None and needed())


def _aws_credentials() -> Any:
    from botocore.session import Session

    found = Session().get_credentials()
    if found is None:
        raise LookupError("no AWS credentials: set AWS_ACCESS_KEY_ID, a profile, or run with a role")
    return found


class GoogleSigner:
    """A Google access token, renewed before it expires.

    Arguments: `credentials` (google-auth's; None takes the application default ones, which is also where a service
    account file named by GOOGLE_APPLICATION_CREDENTIALS comes in); `transport`, the google-auth request callable.
    """

    def __init__(self, *, credentials: Any = None, transport: Any = None) -> None:
        if credentials is None:
            try:
                import google.auth  # noqa: F401
            except ImportError as error:
                raise ConfigError(
                    "Google's tokens need the extra `google`: pip install 'asgi-gateway[google]'"
                ) from error
        self._credentials, self._transport = credentials, transport
        self._lock = threading.Lock()

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        if self._credentials is None or not self._credentials.valid:
            await asyncio.to_thread(self._renew)
        return [
            *_without(headers, b"authorization"),
            (b"authorization", b"Bearer " + self._credentials.token.encode()),
        ]

    def _renew(self) -> None:
        with self._lock:
            if self._credentials is None:
                import google.auth

                self._credentials, _ = google.auth.default(scopes=[GOOGLE_SCOPE])
            if self._transport is None:
                from google.auth.transport.requests import Request

                self._transport = Request()
            if not self._credentials.valid:
                self._credentials.refresh(self._transport)
