"""Sockets and servers: uvicorn on the ports of the configuration, each with an app of its own, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn

from gateway.app import stamps
from gateway.cli.patience import PatientProtocol
from gateway.errors import ConfigError
from gateway.types import App

log = logging.getLogger("gateway")
NEXT_FREE = 50  # ports to try


def bind(host: str, port: int, *, or_next: bool = False) -> socket.socket:
    """A listening socket; with `or_next` on the next free port when this one is busy."""
    for candidate in range(port, port + (NEXT_FREE if or_next and port else 1)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
            sock.listen(2048)
        except OverflowError:
            sock.close()
            raise ConfigError(f"{candidate} is no port: they end at 65535") from None
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE and or_next:
                continue
            raise ConfigError(f"cannot listen on {host}:{candidate}: {error.strerror}") from None
        return sock
    raise ConfigError(f"no port from {port} on is free on {host}")


class Server(uvicorn.Server):
    """A uvicorn server that says when it accepts requests, and leaves the signals to `run`: uvicorn raises them again
    when it has ended, and the process would be gone before its last records are written."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None] | None = None,
        ending: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config)
        self.ready = ready
        self.ending = ending

    def end(self) -> None:
        """Once: what runs may finish. Twice: its clients are left, and it settles as if they had gone."""
        running = len(self.server_state.tasks)
        if self.should_exit:
            for connection in self.server_state.connections:
                connection.transport.abort()
        elif running:
            log.warning("running requests may finish: %d; a second signal ends them", running)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.ready is not None:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.ending is not None:
            self.ending()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(
    app: App,
    *,
    grace: float,
    ready: Callable[[], None] | None = None,
    ending: Callable[[], None] | None = None,
    tls: tuple[str, str] | None = None,
) -> Server:
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        interface="asgi3",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,  # longer than the 60 s of common load balancers
        timeout_graceful_shutdown=int(grace),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return Server(config, ready=ready, ending=ending)


class Certificates:
    """The certificate of a running server, read again when its files change: new connections get the new one."""

    def __init__(self, server: Server, pair: tuple[str, str]) -> None:
        self.server = server
        self.pair = pair
        self._seen = stamps(map(Path, pair))

    async def watch(self, every: float = 0.5) -> None:
        while True:
            await asyncio.sleep(every)
            now = stamps(map(Path, self.pair))
            if now != self._seen:
                self._seen = now
                self._renew()

    def _renew(self) -> None:
        context = self.server.config.ssl
        assert context is not None
        try:
            # A certificate without its key would take the old key away: one file may be written before the other.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self.pair)
            context.load_cert_chain(*self.pair)
        except (OSError, ssl.SSLError) as error:
            log.error("the certificate has changed, but cannot be used; the old one stays: %s", error)
        else:
            log.warning("the certificate has changed; new connections use it")


async def run(
    main: Server, sockets: Sequence[socket.socket], others: Sequence[tuple[Server, socket.socket]]
) -> None:
    """Serves until a signal ends the main server, whose requests finish; then the others end too."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.end)
    tasks = [asyncio.create_task(other.serve([sock])) for other, sock in others]
    try:
        await main.serve(list(sockets))
    finally:
        for other, _ in others:
            other.should_exit = True
        await asyncio.gather(*tasks)
