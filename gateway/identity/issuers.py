"""Keys that somebody else may change: a file, a JWKS URL, or what an issuer's discovery document points at.

A warm set answers at once; it is fetched again in the background when it grows old, and while a call waits only for a `kid`
never seen before, at most once in a cooldown. When fetching fails the last good keys stand, up to a limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from gateway.errors import ConfigError
from gateway.identity import jwks
from gateway.identity.jwt import Key, KeysUnavailable

log = logging.getLogger("gateway")
SIZE = 512 * 1024
TIMEOUT = 5.0
REDIRECTS = 3
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def checked(url: str, what: str) -> str:
    """https, or http on this machine; nothing else can be trusted to bring keys."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if secure and parts.hostname and not parts.username:
        return url
    raise ConfigError(f"{what}: {url} must be an https URL")


async def fetch(url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> bytes:
    """A document, bounded in size and time, from this origin only. Raises KeysUnavailable."""
    try:
        async with asyncio.timeout(TIMEOUT):
            async with httpx.AsyncClient(
                transport=transport, timeout=TIMEOUT, trust_env=transport is None
            ) as client:
                return await _get(client, url)
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        raise KeysUnavailable(f"{url}: {type(error).__name__}") from error


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    origin = urlsplit(url)[:2]
    for _ in range(REDIRECTS):
        async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if not response.is_redirect:
                return await _body(response)
            url = urljoin(url, response.headers.get("location", ""))
        if urlsplit(url)[:2] != origin:
            raise KeysUnavailable("the keys' URL redirects to another origin")
    raise KeysUnavailable("the keys' URL redirects too often")


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != 200:
        raise KeysUnavailable(f"{response.request.url} answers {response.status_code}")
    found = bytearray()
    async for part in response.aiter_bytes():
        found += part
        if len(found) > SIZE:
            raise KeysUnavailable(f"{response.request.url} is larger than {SIZE} bytes")
    return bytes(found)


class RemoteKeys:
    """The keys of a JWKS URL; without one, of the URL that the issuer's discovery document names."""

    def __init__(
        self,
        *,
        url: str = "",
        issuer: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        cooldown: float = 10.0,
        fresh: float = 600.0,
        limit: float = 86_400.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = checked(url, "jwks.url") if url else ""
        self._issuer = checked(issuer, "issuer") if not url else issuer
        self._transport = transport
        self._cooldown, self._fresh, self._limit = cooldown, fresh, limit
        self._clock = clock
        self._keys: Sequence[Key] = ()
        self._fetched = float("-inf")
        self._tried = float("-inf")  # for any reason
        self._missed = float("-inf")  # because of an unknown kid
        self._fetching: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        age = self._clock() - self._fetched
        if age > self._limit:
            await self._refreshed(self._renewed())
            if self._clock() - self._fetched > self._limit:
                raise KeysUnavailable("the issuer's keys cannot be fetched")
        elif age > self._fresh:
            self._renewed()
        found = jwks.matching(self._keys, kid, algorithm)
        if not found and self._clock() - self._missed >= self._cooldown:
            self._missed = self._clock()
            await self._refreshed(self._start())
            found = jwks.matching(self._keys, kid, algorithm)
        return found

    async def load(self) -> int:
        """Fetches the keys now; how many there are. Raises KeysUnavailable."""
        url = self._url or await self._discover()
        return len(jwks.read(await fetch(url, transport=self._transport)))

    async def _refreshed(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            await asyncio.shield(task)

    def _renewed(self) -> asyncio.Task[None] | None:
        """The fetch that runs, or a new one; None where one was tried a moment ago."""
        if self._fetching is None or self._fetching.done():
            return self._start() if self._clock() - self._tried >= self._cooldown else None
        return self._start()

    def _start(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        if self._fetching is None or self._fetching.done() or self._loop is not loop:
            self._tried = self._clock()
            self._loop, self._fetching = loop, loop.create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        started = self._clock()
        try:
            url = self._url or await self._discover()
            self._keys = jwks.read(await fetch(url, transport=self._transport))
        except (KeysUnavailable, ConfigError, ValueError) as error:
            log.warning("the keys of %s cannot be fetched: %s", self._issuer or self._url, error)
        else:
            self._fetched = started

    async def _discover(self) -> str:
        base = self._issuer.rstrip("/")
        document = orjson.loads(await fetch(f"{base}/.well-known/openid-configuration", transport=self._transport))  # fmt: skip
        if not isinstance(document, dict) or document.get("issuer") != self._issuer:
            raise ValueError(f"the discovery document is not that of {self._issuer}")
        return checked(str(document.get("jwks_uri", "")), "jwks_uri")


class FileKeys:
    """The keys of a JWKS or PEM file, read again when it changes."""

    def __init__(
        self, path: str | Path, *, every: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._every, self._clock = every, clock
        self._looked, self._changed = clock(), self._stamp()
        try:
            self._keys: Sequence[Key] = jwks.read(self._path.read_bytes())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"jwks.file: {self._path}: {why}") from error

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return found.st_mtime_ns, found.st_size

    async def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        now = self._clock()
        if now - self._looked > self._every:
            self._looked = now
            self._reread()
        return jwks.matching(self._keys, kid, algorithm)

    def _reread(self) -> None:
        stamp = self._stamp()
        if stamp == self._changed:
            return
        self._changed = stamp
        try:
            self._keys = jwks.read(self._path.read_bytes())
        except (OSError, ValueError) as error:
            log.error("%s cannot be read, the old keys stand: %s", self._path, error)
