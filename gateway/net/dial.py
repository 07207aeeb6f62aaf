"""Open a connection to an origin: directly, or through a proxy's tunnel."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.errors import UpstreamClosed, UpstreamTimeout
from gateway.net.proxies import Proxy

P = TypeVar("P", bound=asyncio.Protocol)
REPLY_LIMIT = 16 * 1024


class Origin(Struct, frozen=True):
    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, prefix: str) -> Origin:
        """`prefix` is a URL up to its path: scheme, host and port, nothing else."""
        parts = urlsplit(prefix)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an upstream URL is http://host… or https://host…")
        if "@" in parts.netloc or parts.query or parts.fragment or not prefix.isascii():
            raise ValueError("an upstream URL holds no credentials, and its host only ASCII")
        return cls(parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


async def dial(
    origin: Origin,
    make: Callable[[], P],
    *,
    proxy: Proxy | None,
    tls: Callable[[], ssl.SSLContext],
    timeout: float,
) -> P:
    """A connected protocol. Raises UpstreamClosed (nothing was sent) or UpstreamTimeout."""
    try:
        async with asyncio.timeout(timeout):
            if proxy is not None and origin.scheme == "https":
                return await _through(proxy, origin, make, tls)
            return await _straight(proxy or origin, make, tls)
    except TimeoutError:
        text = f"no connection to {origin.host} within {timeout:g} s"
        raise UpstreamTimeout(text, plain=f"no connection to the upstream within {timeout:g} s") from None
    except OSError as error:
        text = f"no connection to {origin.host}: {error}"
        raise UpstreamClosed(text, sent=False, plain="the upstream cannot be reached") from error


async def _straight(to: Origin | Proxy, make: Callable[[], P], tls: Callable[[], ssl.SSLContext]) -> P:
    secure = to.tls if isinstance(to, Proxy) else to.scheme == "https"
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(make, to.host, to.port, ssl=tls() if secure else None)
    return protocol


async def _through(
    proxy: Proxy, origin: Origin, make: Callable[[], P], tls: Callable[[], ssl.SSLContext]
) -> P:
    """CONNECT, and then the handshake with the origin inside of the tunnel."""
    loop = asyncio.get_running_loop()
    tunnel = await _straight(proxy, lambda: _Tunnel(loop.create_future()), tls)
    transport = tunnel.transport
    try:
        transport.write(_connect(proxy, origin))
        await tunnel.opened
        protocol = make()
        inner = await loop.start_tls(transport, protocol, tls(), server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    assert inner is not None
    protocol.connection_made(inner)
    return protocol


def _connect(proxy: Proxy, origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}".encode("ascii")
    secret = b"proxy-authorization: " + proxy.authorization + b"\r\n" if proxy.authorization else b""
    return b"CONNECT " + target + b" HTTP/1.1\r\nhost: " + target + b"\r\n" + secret + b"\r\n"


class _Tunnel(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT and nothing behind it."""

    def __init__(self, opened: asyncio.Future[None]) -> None:
        self.opened = opened
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._reply += data
        head, end, rest = self._reply.partition(b"\r\n\r\n")
        if not end and len(head) < REPLY_LIMIT:
            return
        words = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if end and not rest and words[0].startswith(b"HTTP/1.") and words[1:2] == [b"200"]:
            self._settle(None)
        else:
            status = b" ".join(words[1:])[:80].decode("latin-1")
            self._settle(OSError(f"the proxy refused the tunnel: {status}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(exc or OSError("the proxy closed the connection"))

    def _settle(self, error: Exception | None) -> None:
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(error)
