"""A configuration, running; and how a running gateway changes to another one without dropping a connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from msgspec import Struct, field

from gateway.errors import GatewayError
from gateway.types import App, Receive, Scope, Send

log = logging.getLogger("gateway")


class Running(Struct):
    """What `config.build.build` makes of a file: the app, and all that must be opened and closed with it."""

    app: App
    files: tuple[Path, ...] = ()
    metrics: App | None = None
    admin: App | None = None
    admin_open: bool = False  # it has a credential, and may be reached from elsewhere
    open: Callable[[], Awaitable[None]] | None = None  # warm up: upstreams, switches
    close: Callable[[], Awaitable[None]] | None = None
    end_streams: Callable[[], None] | None = None  # those that go on until their clients leave
    calls: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Gateway:
    """The ASGI app that serves whichever configuration is the current one.

    A request ends in the configuration that it began in; the old one is closed when its last request has ended.
    """

    def __init__(self, running: Running) -> None:
        self.running = running
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        running = self.running
        running.calls += 1
        try:
            await running.app(scope, receive, send)
        finally:
            running.calls -= 1
            if not running.calls:
                running.idle.set()

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.running.metrics is not None:
            await self.running.metrics(scope, receive, send)

    async def admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.running.admin is not None:
            await self.running.admin(scope, receive, send)

    async def change(self, running: Running) -> None:
        """Serve new requests by this one; one that cannot be opened is closed, and the old one stays."""
        if running.open is not None:
            try:
                await running.open()
            except BaseException:
                await _retire(running)
                raise
        old, self.running = self.running, running
        _end_streams(old)
        task = asyncio.create_task(_retire(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def end_streams(self) -> None:
        """The first step of an end: what would never end by itself is completed, all else goes on."""
        _end_streams(self.running)

    async def close(self) -> None:
        await asyncio.gather(*self._closing)
        await _retire(self.running)


def _end_streams(running: Running) -> None:
    if running.end_streams is not None:
        running.end_streams()


async def _retire(running: Running) -> None:
    running.idle.clear()
    if running.calls:
        await running.idle.wait()
    if running.close is not None:
        await running.close()


class Reloader:
    """Watches the files that a configuration was read from; a broken one is refused, and the old one stays."""

    def __init__(
        self, gateway: Gateway, rebuild: Callable[[], Awaitable[Running]], *, every: float = 0.5
    ) -> None:
        self.gateway = gateway
        self.rebuild = rebuild
        self.every = every
        self._seen = stamps(gateway.running.files)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(self.every)
            await self.look()

    async def look(self) -> None:
        now = stamps(self.gateway.running.files)
        if now == self._seen:
            return
        self._seen = now
        try:
            running = await self.rebuild()
            await self.gateway.change(running)
        except GatewayError as error:
            log.error("the configuration has changed, but cannot be used; the old one stays:\n%s", error)
        except Exception:  # whatever it is, the next change shall be seen
            log.exception("the configuration has changed, but cannot be used; the old one stays")
        else:
            # As they were before they were read: one that has changed since is read again.
            self._seen = {
                **stamps(running.files),
                **{file: now[file] for file in running.files if file in now},
            }
            log.warning("the configuration has changed; new requests use it")


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int, int] | None]:
    """What changes when one of these files does."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
