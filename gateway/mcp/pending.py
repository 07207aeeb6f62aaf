"""Requests in flight on one shared channel: each hears what the server says of it, by our own id, until its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.jsonrpc import Message
from gateway.mcp.upstream import Ear, is_answer

IN_FLIGHT = 1024
HELD = 1000  # messages that a listener may fall behind


class Pending:
    """The id of a request is its progress token too, so both lead to the same place."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._waiting: dict[int, _Wait] = {}
        self._listeners: dict[int, _Wait] = {}

    async def exchange(
        self,
        number: int,
        send: Callable[[], Awaitable[None]],
        cancel: Callable[[str], Awaitable[None]],
        timeout: float,
        ear: Ear | None,
    ) -> Message:
        """Sends, and waits for the answer; each word of the server on the way begins the time anew. A request that is
        given up is cancelled. Raises UpstreamError."""
        if len(self._waiting) >= IN_FLIGHT:
            raise UpstreamClosed(f"server {self._server!r} has {IN_FLIGHT} requests in flight", sent=False)
        wait = self._waiting[number] = _Wait()
        try:
            async with asyncio.timeout(timeout) as deadline:
                await send()
                while not is_answer(message := await wait.next()):
                    deadline.reschedule(asyncio.get_running_loop().time() + timeout)
                    if ear is not None:
                        await ear.hear(message, None, None)
                return message
        except TimeoutError:
            with contextlib.suppress(UpstreamError):
                await cancel("timed out")
            raise UpstreamTimeout(f"server {self._server!r} was silent for {timeout:g} s") from None
        except asyncio.CancelledError:
            with contextlib.suppress(UpstreamError):
                await cancel("the client left")
            raise
        finally:
            del self._waiting[number]

    async def listen(self, ear: Ear, number: int = 0) -> None:
        """What the server says on its own account, until the channel breaks; `number` is that of a subscription."""
        wait = _Wait()
        key = number or -1 - len(self._listeners)
        self._listeners[key] = wait
        try:
            with contextlib.suppress(UpstreamClosed):
                while not is_answer(message := await wait.next()):
                    await ear.hear(message, None, None)
        finally:
            del self._listeners[key]

    def heard(self, message: Message) -> None:
        """An answer or a notification of the server."""
        if is_answer(message):
            self._deliver(message.id, message)
        elif message.method == "notifications/progress":
            self._deliver(bytes(jsonrpc.members(message.params).get("progressToken", b"")), message)
        elif message.method == "notifications/message":
            if len(self._waiting) == 1:  # it does not say whose it is
                next(iter(self._waiting.values())).put(message)
        else:
            self._broadcast(message)

    def fail(self, error: UpstreamError) -> None:
        for wait in (*self._waiting.values(), *self._listeners.values()):
            wait.fail(error)

    def _deliver(self, ident: bytes, message: Message) -> None:
        number = int(ident) if ident.isdigit() else 0
        wait = self._waiting.get(number) or self._listeners.get(number)
        if wait is not None:
            wait.put(message)

    def _broadcast(self, message: Message) -> None:
        meta = jsonrpc.members(bytes(jsonrpc.members(message.params).get("_meta", b"")))
        subscription = bytes(meta.get(eras.SUBSCRIPTION, b""))
        for number, wait in self._listeners.items():
            if not subscription or subscription == b"%d" % number:
                wait.put(message)


class _Wait:
    """What the server says of one thing, in order."""

    __slots__ = ("_error", "_future", "_messages")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._future: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None

    def put(self, message: Message) -> None:
        if len(self._messages) < HELD or is_answer(message):
            self._messages.append(message)
            self._wake()

    def fail(self, error: UpstreamError) -> None:
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def next(self) -> Message:
        while not self._messages:
            if self._error is not None:
                raise self._error
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        return self._messages.pop(0)
