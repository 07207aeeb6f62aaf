"""How long may it take? Ends what takes longer, streams too, with the reason."""

from __future__ import annotations

import asyncio

from gateway.call import Call
from gateway.refusals import Refusal
from gateway.types import App, Receive, Scope, Send


class DeadlineMiddleware:
    """Stops a call after so many seconds: `DeadlineMiddleware(app, seconds=300)`, around an LLMApp or an MCPApp.

    What only listens (an MCP client's GET, `subscriptions/listen`) has no end to wait for, and none is set.
    """

    def __init__(self, app: App, *, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        if scope["method"] == "GET" or call.headers.get("mcp-method") == "subscriptions/listen":
            return await self.app(scope, receive, send)
        refusal = Refusal(504, "timeout_error", f"this route ends a request after {self.seconds:g} s")
        timer = asyncio.get_running_loop().call_later(self.seconds, call.stop, refusal)
        try:
            await self.app(scope, receive, send)
        finally:
            timer.cancel()
