"""Any httpx client as a `Client`: for a transport of one's own, and for tests without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import DEFAULT_TIMEOUTS, READ_LIMIT, Timeouts
from gateway.types import Headers


class HttpxClient:
    """A `Client` over an `httpx.AsyncClient` that the caller makes and configures.

    HttpxClient(httpx.AsyncClient(transport=my_transport, trust_env=False))

    It costs about thirty times the CPU of `Pool`, and its `total` timeout counts only up to the answer's head.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> HttpxResponse:
        patience = httpx.Timeout(timeouts.first_byte, connect=timeouts.connect, pool=timeouts.connect)
        request = httpx.Request(
            method, url, headers=list(headers), content=body, extensions={"timeout": patience.as_dict()}
        )
        try:
            return HttpxResponse(await self._client.send(request, stream=True, follow_redirects=False))
        except httpx.HTTPError as error:
            raise _translated(error) from error

    async def close(self) -> None:
        await self._client.aclose()


class HttpxResponse:
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        self.ended = False
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_raw()

    async def chunk(self) -> bytes:
        try:
            async for piece in self._pieces:
                if piece:
                    return piece
        except httpx.HTTPError as error:
            raise _translated(error) from error
        self.ended = True
        return b""

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        parts: list[bytes] = []
        size = 0
        while piece := await self.chunk():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                raise UpstreamError(f"the upstream's answer is larger than {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        pass


def _translated(error: httpx.HTTPError) -> UpstreamError:
    if isinstance(error, httpx.TimeoutException):
        return UpstreamTimeout(f"the upstream was silent for too long ({type(error).__name__})")
    if isinstance(error, httpx.ConnectError):
        return UpstreamClosed(f"no connection: {error}", sent=False)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return UpstreamClosed(f"the upstream broke off: {error}")
    return UpstreamError(str(error) or type(error).__name__)
