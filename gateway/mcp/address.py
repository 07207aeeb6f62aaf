"""Where a server of HTTP is, and what goes along with each request to it."""

from __future__ import annotations

from collections.abc import Awaitable, Collection

from gateway.call import Call
from gateway.mcp.upstream import Credential
from gateway.net.client import Client, Response, Timeouts
from gateway.types import Headers

_LONG = 86400.0


def patience(timeout: float) -> Timeouts:
    """An answer must begin in time; how long it goes on is for whoever reads it to say."""
    return Timeouts(connect=min(10.0, timeout), first_byte=timeout, idle=_LONG, total=_LONG)


class Address:
    def __init__(
        self, url: str, client: Client, *, forward: Collection[str], auth: Credential | None, timeout: float
    ) -> None:
        self._url = url
        self._client = client
        self._forward = [name.lower() for name in forward]
        self._auth = auth
        self._timeouts = patience(timeout)

    def send(self, call: Call, method: str, headers: Headers, body: bytes) -> Awaitable[Response]:
        if self._forward:
            given = [(name, call.headers[name]) for name in self._forward if name in call.headers]
            headers = [*headers, *((name.encode(), value.encode("latin-1")) for name, value in given)]
        if self._auth is not None:
            return self._send_as(self._auth, call, method, headers, body)
        return self._client.send(method, self._url, headers=headers, body=body, timeouts=self._timeouts)

    async def _send_as(
        self, who: Credential, call: Call, method: str, headers: Headers, body: bytes
    ) -> Response:
        headers = [*headers, *await who.headers(call)]
        return await self._client.send(method, self._url, headers=headers, body=body, timeouts=self._timeouts)
