"""An upstream that is a program: one process for all callers, every request under an id of our own."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Raw

from gateway.call import Call
from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.child import GRACE, Child
from gateway.mcp.jsonrpc import Message
from gateway.mcp.meeting import Meeting
from gateway.mcp.peer import Peer
from gateway.mcp.pending import Pending
from gateway.mcp.upstream import DISCOVER, GATEWAY, Answer, Ask, Ear, Hello, declined, outgoing

log = logging.getLogger("gateway")
FIRST_DELAY, LAST_DELAY, HEALTHY = 0.5, 30.0, 60.0
PROBE = 5.0
START = 30.0  # a program that is fetched first (npx, uvx) may need long, whatever one call may


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
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._env = env or {}
        self._cwd = cwd
        self._timeout = timeout
        self._grace = grace
        self._clock = clock
        self._child: Child | None = None
        self._hello: Hello | None = None
        self._meeting = Meeting[Hello]()
        self._ids = itertools.count(1)
        self._pending = Pending(name)
        self._began = 0.0
        self._delay = 0.0
        self._not_before = 0.0
        self._closing = False

    @property
    def pid(self) -> int:
        """Of the running program, 0 without one; its process group has the same number."""
        return self._child.pid if self._child is not None and not self._child.ended.done() else 0

    @property
    def stderr(self) -> Sequence[str]:
        return tuple(self._child.stderr) if self._child is not None else ()

    # -- starting

    async def hello(self, call: Call, peer: Peer) -> Hello:
        return await self._running()

    async def _running(self) -> Hello:
        if self._hello is not None and self.pid:
            return self._hello
        return await self._meeting.shared(self._start)

    async def _start(self) -> Hello:
        if self._clock() < self._not_before:
            raise UpstreamClosed(f"server {self.name!r} keeps ending; it is started again later", sent=False)
        self._hello = None
        if self._child is not None:
            await self._child.stop(self._grace)
        self._began = self._clock()
        self._child = await Child.start(self._command, env=self._env, cwd=self._cwd, heard=self._heard)
        self._child.ended.add_done_callback(lambda _: self._ended())
        try:
            self._hello = await self._discover() or await self._initialize()
        except UpstreamError:
            await self._child.stop(self._grace)
            raise
        return self._hello

    def _ended(self) -> None:
        if self._clock() - self._began > HEALTHY:
            self._delay = 0.0
        self._not_before = self._clock() + self._delay
        self._delay = min(LAST_DELAY, self._delay * 2 or FIRST_DELAY)
        # For the operator: what a program writes is not for clients.
        if not self._closing and self._child is not None:
            log.warning(
                "server %s: its program has ended; it wrote last: %s",
                self.name,
                self._child.last_words() or "nothing",
            )
        self._pending.fail(UpstreamClosed(f"server {self.name!r} ended before it answered"))

    async def _discover(self) -> Hello | None:
        try:
            message = await self._request("server/discover", DISCOVER, PROBE)
        except UpstreamTimeout:
            return None  # some legacy servers stay silent
        return Hello.of_discover(message)

    async def _initialize(self) -> Hello:
        params = {"protocolVersion": eras.LEGACY[0], "capabilities": {}, "clientInfo": GATEWAY}
        message = await self._request("initialize", orjson.dumps(params), max(START, self._timeout))
        hello = Hello.of_initialize(message)
        await self._write(jsonrpc.notification("notifications/initialized"))
        return hello

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
        async def send() -> None:
            await self._write(jsonrpc.request(b"%d" % number, method, params))

        async def cancel(reason: str) -> None:
            await self._cancel(number, reason)

        return await self._pending.exchange(number, send, cancel, timeout, ear)

    async def _cancel(self, number: int, reason: str) -> None:
        """Not waited for: it may be that the program does not read."""
        params = orjson.dumps({"requestId": number, "reason": reason})
        if self._child is not None:
            self._child.write_soon(jsonrpc.notification("notifications/cancelled", params))

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        """The process is shared, so what one client says of its own session is not passed on."""

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        hello = await self._running()
        number = next(self._ids)
        if not hello.modern:
            await self._pending.listen(ear)
            return
        ask = Ask(call, peer, "subscriptions/listen", changed={"notifications": Raw(orjson.dumps(wanted))})
        await self._write(jsonrpc.request(b"%d" % number, ask.method, outgoing(ask, 0, modern=True)))
        try:
            await self._pending.listen(ear, number)
        finally:
            with contextlib.suppress(UpstreamError):
                await self._cancel(number, "the client left")

    async def close(self) -> None:
        self._closing = True
        await self._meeting.close()
        if self._child is not None:
            await self._child.stop(self._grace)

    # -- the wire

    async def _write(self, line: bytes) -> None:
        if self._child is None:
            raise UpstreamClosed(f"server {self.name!r} is not running", sent=False)
        await self._child.write(line)

    def _heard(self, line: bytes) -> None:
        try:
            message = jsonrpc.read_upstream(line)
            if not message.is_request:
                self._pending.heard(message)
            elif self._child is not None:  # nobody declared a capability to a shared process
                self._child.write_soon(declined(message))
        except (ValueError, jsonrpc.RpcError):
            return  # a program that prints other things on its output goes on being heard
