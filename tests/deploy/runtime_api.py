"""A Runtime API on the wire: it hands out one event, and keeps what is posted back, piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Posted:
    path: str
    headers: dict[str, str]
    pieces: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def prelude(self) -> Any:
        return json.loads(self.body.split(b"\0" * 8)[0])

    @property
    def streamed(self) -> bytes:
        return self.body.split(b"\0" * 8, 1)[1]


class RuntimeApi:
    def __init__(self, events: list[Mapping[str, Any]], *, deadline: float) -> None:
        self.events = list(events)
        self.deadline = deadline
        self.posted: list[Posted] = []
        self.address = ""
        self.arrived = asyncio.Condition()
        self.asked: list[str] = []
        self.over = asyncio.Event()
        self.conversations: set[asyncio.Task[None] | None] = set()

    async def until(self, text: bytes) -> None:
        """Waits until this has arrived, in whatever was posted last."""
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: bool(self.posted) and text in self.posted[-1].body)

    async def until_asked(self, times: int) -> None:
        """Waits until the loop has asked for its next event so many times."""
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: len(self.asked) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.conversations.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            verb, path, _ = head[0].split()
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
            await (self._next(path, writer) if verb == "GET" else self._answer(path, headers, reader, writer))
        except asyncio.IncompleteReadError:
            return  # it connected, and had nothing to say
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _next(self, path: str, writer: asyncio.StreamWriter) -> None:
        async with self.arrived:
            self.asked.append(path)
            self.arrived.notify_all()
        if not self.events:
            await self.over.wait()
            return
        body = json.dumps(self.events.pop(0)).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: req-1\r\n"
            b"Lambda-Runtime-Deadline-Ms: %d\r\nLambda-Runtime-Trace-Id: Root=1-5;Sampled=1\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (self.deadline * 1000, len(body), body)
        )
        await writer.drain()

    async def _answer(
        self, path: str, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        posted = Posted(path, headers)
        self.posted.append(posted)
        if headers.get("transfer-encoding") == "chunked":
            await self._chunks(posted, reader)
        else:
            posted.pieces.append(await reader.readexactly(int(headers["content-length"])))
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        async with self.arrived:
            self.arrived.notify_all()

    async def _chunks(self, posted: Posted, reader: asyncio.StreamReader) -> None:
        while size := int(await reader.readline(), 16):
            async with self.arrived:
                posted.pieces.append(await reader.readexactly(size))
                self.arrived.notify_all()
            await reader.readline()
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            posted.trailers[name.lower()] = value.strip()


@asynccontextmanager
async def runtime_api(*events: Mapping[str, Any], deadline: float = 4e9) -> AsyncIterator[RuntimeApi]:
    api = RuntimeApi(list(events), deadline=deadline)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    api.address = f"{host}:{port}"
    try:
        yield api
    finally:
        api.over.set()
        await asyncio.gather(*(task for task in api.conversations if task is not None))
        server.close()
        await server.wait_closed()
