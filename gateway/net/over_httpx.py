"""Any httpx client as a `Client`: for a transport of one's own, and for tests without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import DEFAULT_TIMEOUTS, READ_LIMIT, Take, Timeouts
from gateway.types import Headers


class HttpxClient:
    """A `Client` over an `httpx.AsyncClient` that the caller makes and configures.

    HttpxClient(httpx.AsyncClient(transport=my_transport, trust_env=False))

    It costs about thirty times the CPU of `Pool`.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._closing: set[asyncio.Task[None]] = set()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> HttpxResponse:
        patience = {"connect": timeouts.connect, "pool": timeouts.connect, "write": timeouts.first_byte,
                    "read": timeouts.first_byte}  # fmt: skip
        request = httpx.Request(
            method, url, headers=list(headers), content=body, extensions={"timeout": patience}
        )
        ends = asyncio.get_running_loop().time() + timeouts.total
        with _translated():
            async with asyncio.timeout_at(ends):
                response = await self._client.send(request, stream=True, follow_redirects=False)
        patience["read"] = timeouts.idle  # looked up again when the body is read
        return HttpxResponse(response, ends, self._later)

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._client.aclose()


class HttpxResponse:
    def __init__(
        self, response: httpx.Response, ends: float, later: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        self.ended = False
        self._response = response
        self._pieces = _whole(response) if response.is_stream_consumed else response.aiter_raw()
        self._ends = ends
        self._later = later

    @property
    def arrived(self) -> bool:
        return self.ended

    def take(self) -> bytes:
        return b""  # httpx keeps it to itself

    async def pour(self, take: Take) -> None:
        """Its pieces can only be asked for."""

    async def chunk(self) -> bytes:
        with _translated():
            async with asyncio.timeout_at(self._ends):
                async for piece in self._pieces:
                    if piece:
                        return piece
        self.ended = True
        return b""

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        parts: list[bytes] = []
        size = 0
        while piece := await self.chunk():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                self.close()
                raise UpstreamError(f"the upstream's answer is larger than {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        if not self._response.is_closed:
            self._later(self._response.aclose())


async def _whole(response: httpx.Response) -> AsyncIterator[bytes]:
    """A transport without a network may answer with a body that has been read."""
    yield response.content


@contextmanager
def _translated() -> Iterator[None]:
    """httpx's exceptions as ours."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise UpstreamTimeout(f"the upstream was silent for too long ({type(error).__name__})") from error
    except (httpx.ConnectError, httpx.ProxyError) as error:
        plain = "the upstream cannot be reached"
        raise UpstreamClosed(f"no connection: {error}", sent=False, plain=plain) from error
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise UpstreamClosed(f"the upstream broke off: {error}") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise UpstreamError(str(error) or type(error).__name__) from error
