"""An upstream of 2024-11-05: one event stream from it, one address for messages to it, named by its first event."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson

from gateway import sse
from gateway.call import Call
from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.mcp import eras, jsonrpc
from gateway.mcp.address import patience
from gateway.mcp.jsonrpc import Message
from gateway.mcp.meeting import Meeting
from gateway.mcp.peer import Peer
from gateway.mcp.pending import Pending
from gateway.mcp.upstream import GATEWAY, Answer, Ask, BadStatus, Credential, Ear, Hello, declined, outgoing
from gateway.net.client import Client, Response
from gateway.tasks import end
from gateway.types import Headers


class SseUpstream:
    """One stream for all callers, opened when it is first needed and again after it broke."""

    per_caller = False

    def __init__(
        self,
        name: str,
        url: str,
        *,
        client: Client,
        auth: Credential | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.name = name
        self._url = url
        self._client = client
        self._auth = auth
        self._timeout = timeout
        self._timeouts = patience(timeout)
        self._ids = itertools.count(1)
        self._meeting = Meeting[Hello]()
        self._pending = Pending(name)
        self._reader: asyncio.Task[None] | None = None
        self._endpoint = ""
        self._hello: Hello | None = None

    async def hello(self, call: Call, peer: Peer) -> Hello:
        return await self._open(call)

    async def join(self, call: Call, peer: Peer) -> str:
        await self._open(call)
        return ""

    async def leave(self, call: Call, peer: Peer) -> None:
        """The stream is shared: no session of it ends."""

    async def ask(self, ask: Ask, ear: Ear) -> Answer:
        await self._open(ask.call)
        number = next(self._ids)
        message = await self._exchange(ask.call, number, ask.method, outgoing(ask, number, modern=False), ear)
        return Answer(message.result, message.error)

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        """The stream is shared, so what one client says of its own session is not passed on."""

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        await self._open(call)
        await self._pending.listen(ear)

    async def close(self) -> None:
        await self._meeting.close()
        await end(self._reader)

    # -- the stream

    async def _open(self, call: Call) -> Hello:
        if self._hello is None or self._reader is None or self._reader.done():
            return await self._meeting.shared(lambda: self._connect(call))
        return self._hello

    async def _connect(self, call: Call) -> Hello:
        self._hello = None
        headers = [(b"accept", b"text/event-stream"), *await self._credential(call)]
        response = await self._client.send("GET", self._url, headers=headers, timeouts=self._timeouts)
        if response.status != 200:
            response.close()
            raise BadStatus(self.name, response.status)
        named: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(call, response, named))
        try:
            async with asyncio.timeout(self._timeout):
                self._endpoint = self._checked(await named)
            self._hello = await self._initialize(call)
            return self._hello
        except TimeoutError:
            raise UpstreamTimeout(f"server {self.name!r} named no endpoint") from None
        finally:
            if self._hello is None:
                self._reader.cancel()

    def _checked(self, endpoint: str) -> str:
        """A server may not send our messages, and the credential in them, to another origin."""
        url = urljoin(self._url, endpoint)
        if urlsplit(url)[:2] != urlsplit(self._url)[:2]:
            raise UpstreamError(f"server {self.name!r} named an endpoint of another origin")
        return url

    async def _initialize(self, call: Call) -> Hello:
        params = {"protocolVersion": eras.LEGACY[-1], "capabilities": {}, "clientInfo": GATEWAY}
        number = next(self._ids)
        message = await self._exchange(call, number, "initialize", orjson.dumps(params), None)
        hello = Hello.of_initialize(message)
        await self._post(call, jsonrpc.notification("notifications/initialized"))
        return hello

    async def _read(self, call: Call, response: Response, named: asyncio.Future[str]) -> None:
        splitter = sse.Splitter()
        try:
            while chunk := await response.chunk():
                for frame in splitter.feed(chunk):
                    event = sse.parse(frame)
                    if event is not None and event.name == "endpoint" and not named.done():
                        named.set_result(event.data.decode())
                    elif event is not None and event.name == "message":
                        await self._heard(call, event.data)
        except (UpstreamError, ValueError):
            pass  # told below, as any other end
        finally:
            response.close()
            error = UpstreamClosed(f"server {self.name!r} ended its stream")
            if not named.done():
                named.set_exception(error)
            self._pending.fail(error)

    async def _heard(self, call: Call, data: bytes) -> None:
        try:
            message = jsonrpc.read_upstream(data)
            if not message.is_request:
                self._pending.heard(message)
        except (ValueError, jsonrpc.RpcError):
            return
        if message.is_request:
            with contextlib.suppress(UpstreamError):
                await self._post(call, declined(message))

    async def _exchange(
        self, call: Call, number: int, method: str, params: bytes, ear: Ear | None
    ) -> Message:
        async def send() -> None:
            await self._post(call, jsonrpc.request(b"%d" % number, method, params))

        async def cancel(reason: str) -> None:
            said = orjson.dumps({"requestId": number, "reason": reason})
            await self._post(call, jsonrpc.notification("notifications/cancelled", said))

        return await self._pending.exchange(number, send, cancel, self._timeout, ear)

    async def _post(self, call: Call, body: bytes) -> None:
        headers: Headers = [(b"content-type", b"application/json"), *await self._credential(call)]
        response = await self._client.send(
            "POST", self._endpoint, headers=headers, body=body, timeouts=self._timeouts
        )
        status = response.status
        response.close()
        if status >= 400:
            raise BadStatus(self.name, status)

    async def _credential(self, call: Call) -> Headers:
        return await self._auth.headers(call) if self._auth is not None else []
