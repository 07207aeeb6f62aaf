"""An ASGI driver of our own: it records every message at the moment it is sent, so that streaming can be proven, and it
can leave in the middle, so that a disconnect can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.types import App, Message


@dataclass
class Reply:
    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode(): v.decode("latin-1") for k, v in self.messages[0].get("headers", ())}

    @property
    def chunks(self) -> list[bytes]:
        return [m["body"] for m in self.messages if m["type"] == "http.response.body" and m.get("body")]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body", False) is False


class Driver:
    """`reply = await Driver(app).post("/v1/messages", {...}, headers={...})`"""

    def __init__(
        self, app: App, *, client: str = "127.0.0.1", server: tuple[str, int] = ("testserver", 80)
    ) -> None:
        self.app = app
        self.client = client
        self.server = server

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = b"", **options: Any) -> Reply:
        return await self.request("POST", path, body=body, **options)

    async def request(
        self,
        verb: str,
        path: str,
        *,
        body: Any = b"",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        pieces: Iterable[bytes] | None = None,
        leave_after: Callable[[Reply], bool] | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> Reply:
        """`pieces` sends the body in parts; `leave_after(reply)` disconnects once it is true of what has come so far."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        parts = list(pieces) if pieces is not None else [data]
        reply, gone = Reply(), asyncio.Event()

        async def receive() -> Message:
            if parts:
                part = parts.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(parts)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            reply.messages.append(message)
            if leave_after is not None and leave_after(reply):
                gone.set()

        await self.app(self._scope(verb, path, headers, len(data), scope), receive, send)
        return reply

    def _scope(
        self, verb: str, path: str, headers: Any, size: int, extra: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        from urllib.parse import unquote

        target, _, query = path.partition("?")
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in pairs}
        if size and "content-length" not in names:
            pairs.append(("content-length", str(size)))
        if "host" not in names:
            pairs.append(("host", f"{self.server[0]}:{self.server[1]}"))
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": verb, "scheme": "http",
            "path": unquote(target), "raw_path": target.encode(), "root_path": "", "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in pairs],
            "client": (self.client, 50000), "server": self.server, "state": {}, **(extra or {}),
        }  # fmt: skip
