"""One request of a client, with all that serving it needs; and the policies around it, in their order."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Literal

import orjson
from msgspec import Struct, field

from gateway.call import Operation
from gateway.errors import ClientGone, GatewayError, Refused, UpstreamError, UpstreamTimeout
from gateway.mcp import jsonrpc
from gateway.mcp.exchange import Exchange
from gateway.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, Members, RpcError
from gateway.mcp.upstream import Answer, plainly
from gateway.metering.record import Outcome
from gateway.policies import Policies, Reservation
from gateway.refusals import Refusal
from gateway.types import Headers

TOOL_USE = "claudecode/toolUseId"
MISSING = "gateway/missing"
Subject = Literal["tool", "prompt", "resource", "task"]
NONE = Policies()
_SAYS_ERROR = re.compile(rb'"isError"\s*:\s*true')


class Turn(Exchange):
    """The exchange of a request, and what it is judged by."""

    policies: Policies = field(default_factory=Policies)
    headers: Headers = field(default_factory=list)  # of the client's request

    @property
    def params(self) -> Members:
        """Each parameter as it came."""
        return jsonrpc.members(self.message.params)

    def operation(
        self,
        *,
        subject: Subject | None = None,
        server: str = "",
        name: str = "",
        exposed: str = "",
        arguments: Any = None,
    ) -> Operation:
        meta = self.message.meta
        use = meta.get(TOOL_USE)
        op = self.call.operation = Operation(
            "mcp",
            self.message.method,
            charged=subject is not None,
            subject=subject,
            server=server,
            name=name,
            exposed=exposed,
            arguments=arguments,
            tool_use_id=use if isinstance(use, str) else "",
            meta=meta,
        )
        return op


def judge(turn: Turn) -> None:
    """An operation without a subject: a list as a whole, `initialize`. Raises RpcError."""
    op = turn.operation()
    authz = turn.policies.authz
    refusal = authz.decide(turn.call, op) if authz is not None else None
    if refusal is not None:
        refused(turn, refusal)


class Metered(Struct, eq=False):
    """Around one operation: what was reserved is settled and what became of it is written, whatever happens."""

    turn: Turn
    op: Operation
    began: int = field(default_factory=time.perf_counter_ns)
    reservation: Reservation | None = None
    answer: Answer | None = None
    refusal: Refusal | None = None
    upstream_ns: int = 0

    async def __aenter__(self) -> Metered:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: object
    ) -> None:
        if self.reservation is not None:
            await self.reservation.settle(None, None)
        call, answer, meter = self.turn.call, self.answer, self.turn.policies.usage
        call.upstream_ns += self.upstream_ns
        if meter is not None:
            outcome = self._outcome(exc)
            meter.record(
                call,
                self.op,
                outcome,
                refusal=self.refusal,
                duration_ms=(time.perf_counter_ns() - self.began) / 1e6,
                upstream_ms=self.upstream_ns / 1e6,
                bytes_in=len(self.turn.message.params),
                bytes_out=len(answer.result or answer.error) if answer is not None else 0,
            )
            if meter.at_once:
                await meter.flush()

    def _outcome(self, exc: BaseException | None) -> Outcome:
        if isinstance(exc, Refused):
            self.refusal = exc.refusal
        if self.refusal is not None:
            return "refused"
        if exc is None:
            answer = self.answer
            return "tool_error" if answer is not None and (answer.error or _is_error(answer.result)) else "ok"
        if isinstance(exc, UpstreamTimeout):
            return "timeout"
        if isinstance(exc, UpstreamError):
            return "upstream_error"
        return "error" if isinstance(exc, Exception) else "client_gone"


def _is_error(result: bytes) -> bool:
    return (
        b'"isError"' in result
        and _SAYS_ERROR.search(result) is not None
        and bytes(jsonrpc.members(result).get("isError", b"")) == b"true"
    )


def tool_error(turn: Turn, text: str, meta: Mapping[str, Any] | None = None) -> Answer:
    """A result that says what went wrong, so that the agent can go on."""
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    if meta:
        result["_meta"] = meta
    if turn.peer.modern:
        result["resultType"] = "complete"
    return Answer(orjson.dumps(result), modern=turn.peer.modern)


def refused(turn: Turn, refusal: Refusal) -> Answer:
    """The answer to an operation that a policy refused: a tool's is a result, another's an error."""
    turn.call.refusal = refusal
    if refusal.headers:
        raise Refused(refusal)  # an OAuth challenge is HTTP's to make
    policy = refusal.policy or "gateway"
    meta: dict[str, Any] = {"policy": policy, "kind": refusal.kind}
    if refusal.retry_after is not None:
        meta["retryAfter"] = refusal.retry_after
    if turn.message.method == "tools/call":
        said = refusal.message
        text = said if said.startswith("Refused by ") else f"Refused by {policy}: {said}"
        return tool_error(turn, text, {"gateway/refusal": meta})
    raise RpcError(-31000 - refusal.status, refusal.message, meta)


def unknown(turn: Turn, exposed: str) -> Answer:
    """The one answer for what is not there and for what the caller may not see. While a server does not answer, nobody knows
    what is not there."""
    method = turn.message.method
    failing = turn.interpreter.catalog.listings.failing(turn.call)
    if failing:
        text = f"No server that answers has {exposed}; not answering: {', '.join(failing)}"
        missing = {MISSING: told(failing)}
        if method == "tools/call":
            return tool_error(turn, text, missing)
        raise RpcError(INTERNAL_ERROR, text, missing)
    if method == "tools/call":
        return tool_error(turn, f"Unknown tool: {exposed}")
    if method == "prompts/get":
        raise RpcError(INVALID_PARAMS, f"Unknown prompt: {exposed}")
    if method == "completion/complete":
        raise RpcError(INVALID_PARAMS, f"nothing is called {exposed!r}")
    code = INVALID_PARAMS if turn.peer.modern else RESOURCE_NOT_FOUND
    raise RpcError(code, "Resource not found", {"uri": exposed})


def told(missing: Mapping[str, GatewayError]) -> list[dict[str, str]]:
    """The servers that did not answer, as a client is told of them."""
    return [{"server": name, "reason": plainly(why)} for name, why in missing.items()]


def failed(turn: Turn, server: str, exc: UpstreamError) -> Answer:
    """What the client is told of an upstream's failure: a tool's is a result, so that the agent can go on."""
    if isinstance(exc, ClientGone):
        raise exc
    if turn.message.method == "tools/call":
        return tool_error(turn, f"The tool could not be called: {plainly(exc)}.", {"gateway/server": server})
    raise RpcError(INTERNAL_ERROR, f"The server could not be reached: {plainly(exc)}.")
