"""A scripted upstream for tests: each connection runs one coroutine that reads and writes as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    requests: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """One whole request: its head and, by its content-length, its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        whole = head + await self.reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Returns when the client has left."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Upstream:
    url: str
    peers: list[Peer] = field(default_factory=list)

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]


@asynccontextmanager
async def upstream(script: Script, *, ssl: object = None) -> AsyncIterator[Upstream]:
    running: set[asyncio.Task[None]] = set()
    found = Upstream("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        peer = Peer(reader, writer, len(found.peers))
        found.peers.append(peer)
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)  # type: ignore[arg-type]
    port = server.sockets[0].getsockname()[1]
    found.url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}"
    try:
        yield found
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for peer in found.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)


def answer(body: bytes, *, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def repeat(data: bytes) -> Script:
    """Answers every request on a kept-alive connection with these bytes."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.write(data)

    return script


def once(data: bytes) -> Script:
    """Answers one request with these bytes and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(data)

    return script
