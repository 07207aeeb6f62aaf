"""A closed loop of clients on kept-alive connections; prints one JSON line.

load.py URL BODY CONNECTIONS --seconds S | --requests N  [--stream] [--leave EVENTS] [NAME:VALUE ...]

With --stream it checks that every stream is whole, and measures the time to its first byte; --leave closes the connection
after so many events, as an impatient user does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop
from samples import EVENTS


class Tally:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.request = _request(options)
        self.left = options.requests or 1 << 60
        self.ends = time.perf_counter() + options.seconds if options.seconds else float("inf")
        self.took: list[float] = []
        self.first: list[float] = []
        self.bad = 0
        self.statuses: dict[int, int] = {}

    def more(self) -> bool:
        if self.left <= 0 or time.perf_counter() >= self.ends:
            return False
        self.left -= 1
        return True


def _request(options: argparse.Namespace) -> bytes:
    url, body = urlsplit(options.url), Path(options.body).read_bytes()
    heads = {"host": url.netloc, "content-type": "application/json", "content-length": str(len(body))}
    heads.update(head.split(":", 1) for head in options.headers)
    lines = "".join(f"{name}: {value.strip()}\r\n" for name, value in heads.items())
    return f"POST {url.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Client(asyncio.Protocol):
    def __init__(self, tally: Tally, closed: asyncio.Future[None]) -> None:
        self.tally, self.closed, self.busy = tally, closed, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.next()

    def next(self) -> None:
        if self.transport.is_closing() or not self.tally.more():
            return self.transport.close()
        self.parser = httptools.HttpResponseParser(self)
        self.busy, self.first, self.events, self.size = True, 0.0, 0, 0
        self.at = time.perf_counter()
        self.transport.write(self.tally.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.first = self.first or time.perf_counter() - self.at
        self.size += len(data)
        self.events += data.count(b"data: ")
        leave = self.tally.options.leave
        if leave and self.events >= leave and self.busy:
            self.busy = False
            self.tally.took.append(time.perf_counter() - self.at)
            self.transport.abort()

    def on_message_complete(self) -> None:
        if not self.busy:
            return
        tally, self.busy = self.tally, False
        status = self.parser.get_status_code()
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if status != 200 or not self.size or (tally.options.stream and self.events < EVENTS - 3):
            tally.bad += 1
        tally.took.append(time.perf_counter() - self.at)
        tally.first.append(self.first)
        asyncio.get_running_loop().call_soon(self.next)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self.tally.bad += 1
            self.tally.took.append(time.perf_counter() - self.at)
        self.closed.set_result(None)


async def caller(tally: Tally) -> None:
    loop, url = asyncio.get_running_loop(), urlsplit(tally.options.url)
    while tally.left > 0 and time.perf_counter() < tally.ends:
        closed = loop.create_future()
        await loop.create_connection(lambda end=closed: Client(tally, end), url.hostname, url.port)  # type: ignore[misc]
        await closed


def quantile(values: list[float], share: float) -> float:
    """Milliseconds."""
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000, 3) if values else 0.0


async def main(options: argparse.Namespace) -> None:
    started, tally = time.perf_counter(), Tally(options)
    await asyncio.gather(*(caller(tally) for _ in range(options.connections)))
    seconds = time.perf_counter() - started
    print(json.dumps({
        "n": len(tally.took), "bad": tally.bad, "seconds": seconds, "rate": len(tally.took) / seconds,
        "p50": quantile(tally.took, 0.5), "p99": quantile(tally.took, 0.99),
        "first50": quantile(tally.first, 0.5), "first99": quantile(tally.first, 0.99), "statuses": tally.statuses,
    }))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("body")
    parser.add_argument("connections", type=int)
    parser.add_argument("headers", nargs="*")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--leave", type=int, default=0)
    uvloop.run(main(parser.parse_args()))
