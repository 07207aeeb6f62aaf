"""A gateway as Lambda runs it: many instances, each with a loop of its own, whole answers through Mangum, one request at a
time; in front of them what turns HTTP into events."""

from __future__ import annotations

import asyncio
import base64
import queue
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from mangum import Mangum

from gateway import body as bodies
from gateway.app import Running
from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.types import Receive, Scope, Send


class Instance:
    """Used by one thread at a time, as an environment of Lambda serves one request at a time."""

    def __init__(self, text: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.resources = Resources(place="lambda")
        self.running: Running = build(
            loads(text, source="gateway.yaml", folder=Path("."), env={}), self.resources
        )
        asyncio.set_event_loop(self.loop)  # Mangum would make one otherwise
        self.handler = Mangum(cast(Any, self.running.app), lifespan="off")

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        asyncio.set_event_loop(self.loop)
        return cast(dict[str, Any], self.handler(event, cast(Any, {})))

    def close(self) -> None:
        async def end() -> None:
            if self.running.close is not None:
                await self.running.close()
            await self.resources.close()
            await asyncio.sleep(0)

        self.loop.run_until_complete(end())
        self.loop.close()


class Lambdas:
    """An ASGI app over as many instances as requests are under way."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._idle: queue.SimpleQueue[Instance] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = as_event(scope, await bodies.read(scope, receive))
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._threads, self.invoke, event)
        raw = answer.get("body") or ""
        body = base64.b64decode(raw) if answer.get("isBase64Encoded") else raw.encode()
        head = [(name.encode(), value.encode("latin-1")) for name, value in answer["headers"].items()]
        await send({"type": "http.response.start", "status": answer["statusCode"], "headers": head})
        await send({"type": "http.response.body", "body": body})

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        try:
            instance = self._idle.get_nowait()
        except queue.Empty:
            instance = Instance(self._text)
        try:
            return instance.handle(event)
        finally:
            self._idle.put(instance)

    def close(self) -> None:
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get_nowait().close()


@asynccontextmanager
async def lambdas(text: str) -> AsyncIterator[Lambdas]:
    """`text` is the configuration that every instance reads."""
    made = Lambdas(text)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


def as_event(scope: Scope, body: bytes) -> dict[str, Any]:
    """As a function URL writes it."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode()
        headers[key] = (
            f"{headers[key]},{value.decode('latin-1')}" if key in headers else value.decode("latin-1")
        )
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": scope["path"],
        "rawQueryString": scope["query_string"].decode(), "isBase64Encoded": True, "headers": headers,
        "requestContext": {"http": {"method": scope["method"], "path": scope["path"], "sourceIp": "1.2.3.4"}},
        "body": base64.b64encode(body).decode(),
    }  # fmt: skip
