"""Apps for tests, and this package's own server that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.cli import listening
from gateway.types import App, Message, Receive, Scope, Send


@asynccontextmanager
async def served(app: App, *, rest: float = 75) -> AsyncIterator[tuple[str, int]]:
    ready = asyncio.Event()
    server = listening.server(app, grace=1, ready=ready.set)
    server.config.timeout_keep_alive = rest  # type: ignore[assignment]
    sock = listening.bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    try:
        yield sock.getsockname()[:2]
    finally:
        server.should_exit = True
        await task


def answering(*messages: Message, between: Callable[[], Awaitable[object]] | None = None) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
            if between is not None:
                await between()

    return app


def start(**headers: str) -> Message:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
