"""Between a legacy server and the client, while an answer comes as a stream: what cannot reach the client is answered here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from gateway.mcp.jsonrpc import Message
from gateway.mcp.sessions import Session
from gateway.mcp.upstream import Ask, Ear


class Hearing(Struct, eq=False):
    """`own`: the session is this client's alone. `last` and `retry` say how the stream can be resumed."""

    ear: Ear
    ask: Ask
    session: Session
    own: bool
    decline: Callable[[Message], Awaitable[None]]
    last: str = ""
    retry: int = 1000

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        self.last = event_id or self.last
        self.retry = retry if retry is not None else self.retry
        # Who offers nothing is not asked, whatever a server sends.
        if message.is_request and not (self.own and self.ask.peer.capabilities):
            await self.decline(message)
        elif message.method or self.own:
            await self.ear.hear(message, event_id if self.own else None, retry)
