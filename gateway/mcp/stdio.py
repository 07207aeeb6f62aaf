"""An upstream that is a program: one process for all callers, every request under an id of our own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.child import Child
from gateway.mcp.jsonrpc import METHOD_NOT_FOUND, Message
from gateway.mcp.peer import Peer
from gateway.mcp.upstream import Answer, Ask, Ear, Hello, is_answer, outgoing

GATEWAY = {"name": "asgi-gateway", "version": "1"}
FIRST_DELAY, LAST_DELAY, HEALTHY = 0.5, 30.0, 60.0
IN_FLIGHT = 1024
PROBE = 5.0


class StdioUpstream:
    """`command` is an exact argv from the operator's file: no shell, and nothing of it ever comes from a request.

    A program that dies is started again by the next request, each time later while it keeps dying.
    """

    per_caller = False

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._env = env or {}
        self._cwd = cwd
        self._timeout = timeout
        self._clock = clock
        self._child: Child | None = None
        self._hello: Hello | None = None
        self._starting = asyncio.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Wait] = {}
        self._listeners: set[_Listener] = set()
        self._began = 0.0
        self._delay = 0.0
        self._not_before = 0.0

    @property
    def stderr(self) -> Sequence[str]:
        return tuple(self._child.stderr) if self._child is not None else ()

    # -- starting

    async def hello(self, call: Call, peer: Peer) -> Hello:
        return await self._running()

    async def _running(self) -> Hello:
        if self._hello is None or self._child is None or self._child.ended.done():
            async with self._starting:
                if self._hello is None or self._child is None or self._child.ended.done():
                    self._hello = await self._start()
        return self._hello

    async def _start(self) -> Hello:
        if self._clock() < self._not_before:
            raise UpstreamClosed(f"server {self.name!r} keeps ending; it is started again later", sent=False)
        if self._child is not None:
            await self._child.stop()
        self._began = self._clock()
        self._child = await Child.start(self._command, env=self._env, cwd=self._cwd, heard=self._heard)
        self._child.ended.add_done_callback(lambda _: self._ended())
        try:
            hello = await self._discover() or await self._initialize()
        except UpstreamError:
            await self._child.stop()
            raise
        return hello

    def _ended(self) -> None:
        if self._clock() - self._began > HEALTHY:
            self._delay = 0.0
        self._not_before = self._clock() + self._delay
        self._delay = min(LAST_DELAY, self._delay * 2 or FIRST_DELAY)
        waiting, self._waiting = self._waiting, {}
        for wait in waiting.values():
            wait.fail(UpstreamClosed(f"server {self.name!r} ended before it answered"))
        for listener in self._listeners:
            listener.queue.put_nowait(None)

    async def _discover(self) -> Hello | None:
        meta = {eras.VERSION: eras.MODERN, eras.CLIENT_INFO: GATEWAY, eras.CAPABILITIES: {}}
        try:
            message = await self._request(
                "server/discover", orjson.dumps({"_meta": meta}), min(PROBE, self._timeout)
            )
        except UpstreamTimeout:
            return None  # some legacy servers stay silent
        if message.error:
            code = orjson.loads(message.error).get("code")
            return Hello(True, eras.MODERN) if code in eras.RECOGNISED else None
        result = orjson.loads(message.result)
        if eras.MODERN not in result.get("supportedVersions", ()):
            return None
        info = (result.get("_meta") or {}).get(eras.SERVER_INFO) or {}
        return Hello(
            True, eras.MODERN, result.get("capabilities") or {}, info, result.get("instructions") or ""
        )

    async def _initialize(self) -> Hello:
        params = {"protocolVersion": eras.LEGACY[0], "capabilities": {}, "clientInfo": GATEWAY}
        message = await self._request("initialize", orjson.dumps(params), self._timeout)
        if message.error:
            raise UpstreamError(f"server {self.name!r} refused to initialize: {message.error[:200]!r}")
        result = orjson.loads(message.result)
        await self._write(jsonrpc.notification("notifications/initialized"))
        return Hello(False, str(result.get("protocolVersion") or eras.ASSUMED), result.get("capabilities") or {},
                     result.get("serverInfo") or {}, result.get("instructions") or "")  # fmt: skip

    # -- asking

    async def join(self, call: Call, peer: Peer) -> str:
        await self._running()
        return ""

    async def leave(self, call: Call, peer: Peer) -> None:
        """The process is shared: no session of it ends."""

    async def ask(self, ask: Ask, ear: Ear) -> Answer:
        hello = await self._running()
        number = next(self._ids)
        message = await self._exchange(
            number, ask.method, outgoing(ask, number, modern=hello.modern), self._timeout, ear
        )
        return Answer(message.result, message.error, hello.modern)

    async def _request(self, method: str, params: bytes, timeout: float) -> Message:
        return await self._exchange(next(self._ids), method, params, timeout, None)

    async def _exchange(
        self, number: int, method: str, params: bytes, timeout: float, ear: Ear | None
    ) -> Message:
        if len(self._waiting) >= IN_FLIGHT:
            raise UpstreamClosed(f"server {self.name!r} has {IN_FLIGHT} requests in flight", sent=False)
        wait = self._waiting[number] = _Wait()
        try:
            await self._write(jsonrpc.request(b"%d" % number, method, params))
            async with asyncio.timeout(timeout) as deadline:
                while True:
                    message = await wait.next()
                    if is_answer(message):
                        return message
                    deadline.reschedule(asyncio.get_running_loop().time() + timeout)
                    if ear is not None:
                        await ear.hear(message, None, None)
        except TimeoutError:
            await self._cancel(number, "timed out")
            raise UpstreamTimeout(f"server {self.name!r} was silent for {timeout:g} s") from None
        except asyncio.CancelledError:
            await self._cancel(number, "the client left")
            raise
        finally:
            self._waiting.pop(number, None)

    async def _cancel(self, number: int, reason: str) -> None:
        with contextlib.suppress(UpstreamError):
            params = orjson.dumps({"requestId": number, "reason": reason})
            await self._write(jsonrpc.notification("notifications/cancelled", params))

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        """The process is shared, so what one client says of its own session is not passed on."""

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        hello = await self._running()
        listener = _Listener(next(self._ids), asyncio.Queue())
        self._listeners.add(listener)
        try:
            if hello.modern:
                ask = Ask(call, peer, "subscriptions/listen", {"notifications": Raw(orjson.dumps(wanted))})
                body = jsonrpc.request(b"%d" % listener.number, ask.method, outgoing(ask, 0, modern=True))
                await self._write(body)
            while (message := await listener.queue.get()) is not None:
                await ear.hear(message, None, None)
        finally:
            self._listeners.discard(listener)
            if hello.modern:
                await self._cancel(listener.number, "the client left")

    async def close(self) -> None:
        if self._child is not None:
            await self._child.stop()

    # -- the wire

    async def _write(self, line: bytes) -> None:
        if self._child is None:
            raise UpstreamClosed(f"server {self.name!r} is not running", sent=False)
        await self._child.write(line)

    def _heard(self, line: bytes) -> None:
        try:
            message = jsonrpc.read_upstream(line)
        except ValueError:
            return  # a program that prints other things on its output goes on being heard
        if is_answer(message):
            self._deliver(message.id, message)
        elif message.is_request:
            self._decline(message)
        elif message.method in {"notifications/progress", "notifications/message"}:
            self._related(message)
        else:
            meta = jsonrpc.members(bytes(jsonrpc.members(message.params).get("_meta", b"")))
            subscription = bytes(meta.get(eras.SUBSCRIPTION, b""))
            for listener in self._listeners:
                if subscription in {b"", b"%d" % listener.number}:
                    listener.queue.put_nowait(message)

    def _deliver(self, ident: bytes, message: Message) -> None:
        wait = self._waiting.get(int(ident)) if ident.isdigit() else None
        if wait is not None:
            wait.put(message)

    def _related(self, message: Message) -> None:
        """Progress names its request by our token. A log line of a legacy server does not say whose it is."""
        if message.method == "notifications/progress":
            token = jsonrpc.members(message.params).get("progressToken", Raw(b""))
            self._deliver(bytes(token), message)
        elif len(self._waiting) == 1:
            next(iter(self._waiting.values())).put(message)

    def _decline(self, message: Message) -> None:
        """Nobody declared a capability to a shared process; a server that asks all the same is answered."""
        error = jsonrpc.error_value(METHOD_NOT_FOUND, "this client does not take requests")
        if message.method == "ping":
            answer = jsonrpc.result(message.id, b"{}")
        else:
            answer = jsonrpc.error(message.id, error)
        if self._child is not None:
            self._child.write_soon(answer)


class _Wait:
    """One request in flight: what the server says of it, in order."""

    __slots__ = ("_error", "_future", "_messages")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._future: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None

    def put(self, message: Message) -> None:
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


class _Listener:
    """One client that hears what the server says on its own account."""

    def __init__(self, number: int, queue: asyncio.Queue[Message | None]) -> None:
        self.number = number
        self.queue = queue
