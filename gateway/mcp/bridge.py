"""A modern server asks for input by ending its answer; a legacy client is asked while its answer is held open.

The gateway asks the client on the stream of its request, gathers what it says, and asks the server again. The client's
words come by another request, so they must reach the process that holds the stream.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Raw, structs

from gateway.errors import UpstreamError
from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Message
from gateway.mcp.turn import Turn
from gateway.mcp.upstream import Answer, Ask, Upstream

ROUNDS = 16
PATIENCE = 600.0
_PREFIX = "input-"
_NEEDS = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


class Bridge:
    """Drives the rounds of one process."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], asyncio.Future[Message]] = {}

    async def drive(self, turn: Turn, upstream: Upstream, ask: Ask, answer: Answer) -> Answer:
        """The complete answer. Raises UpstreamError where the client cannot give what is asked for."""
        for _ in range(ROUNDS):
            parts = jsonrpc.members(answer.result) if answer.result else {}
            if bytes(parts.get("resultType", b"")) != b'"input_required"':
                return answer
            given = await self._gather(turn, orjson.loads(bytes(parts.get("inputRequests", b"{}"))))
            params = {**ask.params, "inputResponses": Raw(jsonrpc.join(given))}
            if "requestState" in parts:
                params["requestState"] = parts["requestState"]
            answer = await upstream.ask(structs.replace(ask, changed=params), turn)
        raise UpstreamError(f"server {upstream.name!r} asked for input {ROUNDS} times")

    async def _gather(self, turn: Turn, requests: Mapping[str, Any]) -> dict[str, Raw]:
        answers = await asyncio.gather(*(self._ask(turn, each) for each in requests.values()))
        return dict(zip(requests, answers, strict=True))

    async def _ask(self, turn: Turn, request: Mapping[str, Any]) -> Raw:
        method = str(request.get("method"))
        capability = _NEEDS.get(method, "")
        if not turn.wire.streaming or not turn.peer.session or not turn.peer.can(capability):
            raise UpstreamError(f"it needs {capability or method}, which this client does not offer")
        ident = _PREFIX + secrets.token_hex(8)
        key = turn.peer.session, ident
        answered = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            params = orjson.dumps(request.get("params") or {})
            await turn.wire.event(jsonrpc.request(orjson.dumps(ident), method, params))
            async with asyncio.timeout(PATIENCE):
                message = await answered
        except TimeoutError:
            raise UpstreamError("the client did not answer what it was asked") from None
        finally:
            del self._asked[key]
        if message.result:
            return Raw(message.result)
        if capability == "elicitation":
            return Raw(b'{"action":"cancel"}')
        raise UpstreamError(f"the client refused {method}")

    def answered(self, session: str, message: Message) -> bool:
        """Whether somebody here waits for this answer of the client."""
        ident = orjson.loads(message.id)
        answered = self._asked.get((session, ident)) if isinstance(ident, str) else None
        if answered is None or answered.done():
            return False
        answered.set_result(message)
        return True
