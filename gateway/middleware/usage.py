"""What did it use, and what did it cost? One record an operation, whatever happened to it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway import operations, refusals
from gateway.answer import Answer
from gateway.body import Replay
from gateway.call import Call, Operation
from gateway.errors import BadRequest, ClientGone, Refused, UpstreamError, UpstreamTimeout
from gateway.limits import estimate
from gateway.metering import truth
from gateway.metering.meter import Label, UsageMeter
from gateway.metering.prices import Price, Prices
from gateway.metering.readers import Watcher
from gateway.metering.record import Outcome, outcome_of
from gateway.metering.spool import LINGER
from gateway.middleware.expressions import labels_of
from gateway.policies import Policies
from gateway.types import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from gateway.stores.protocols import Ledger

_TOOL_ERROR = b'"isError":true'
_PLAIN = (b"", b"identity")


class UsageMiddleware:
    """Meters the app inside, innermost, so that it sees what the provider billed.

    `UsageMiddleware(app, store=open_store("sqlite:///gateway.db"), labels={"team": 'request.headers["x-team"]'})`

    `prices` are dollars per million tokens by model name, before the dated table; `ceiling` is what an unknown model costs.
    `watch=False` where the app itself sets `call.usage` (LLMApp does). With `defer` the meter is only put on the call, for
    an app that records each operation itself. `meter` takes a finished one instead of `store`, `prices` and `labels`.
    """

    def __init__(
        self,
        app: App,
        *,
        store: Ledger | None = None,
        prices: Prices | Mapping[str, Price | Mapping[str, float]] | None = None,
        ceiling: Price | Mapping[str, float] | None = None,
        labels: Mapping[str, Label | str] | None = None,
        linger: float = LINGER,
        watch: bool = True,
        defer: bool = False,
        meter: UsageMeter | None = None,
    ) -> None:
        self.app = app
        self.watch = watch
        self.defer = defer
        table = prices if isinstance(prices, Prices) else Prices(prices, ceiling=ceiling)
        self.meter = meter or UsageMeter(store, prices=table, labels=labels_of(labels or {}), linger=linger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        call.metered = True
        if self.defer:
            if call.policies is None:
                call.policies = Policies()
            call.policies.usage = self.meter
            return await self.app(scope, receive, send)
        try:
            op = call.operation or await operations.of(call, scope, receive)
        except BadRequest as error:
            refusal = refusals.invalid(str(error), status=error.status)
            return await refusals.send_refusal(call, refusal, send)
        answer = send if type(send) is Answer else Answer(call, send)
        told = op.kind != "mcp" and not (self.watch and op.kind == "llm" and op.charged)
        seen = None if told else _Seen(call, op, answer)
        outcome: Outcome = "error"
        try:
            await self.app(scope, receive if type(receive) is Replay else Replay(call, receive), answer)
            outcome = _ended(call, answer, seen)
        except BaseException as error:
            outcome = _outcome(error)
            raise
        finally:
            if seen is not None:
                seen.settle()
            self.meter.record(
                call,
                op,
                outcome,
                refusal=call.refusal,
                duration_ms=(time.perf_counter_ns() - call.started) / 1e6,
                upstream_ms=call.upstream_ns / 1e6,
                bytes_in=len(call.body or b""),
                bytes_out=answer.size,
            )
            if self.meter.at_once:
                await self.meter.flush()


class _Seen:
    """Reads in an answer what the app does not tell: the usage of a model, and whether a tool failed."""

    __slots__ = ("_answer", "_call", "_op", "_watcher", "tool_error")

    def __init__(self, call: Call, op: Operation, answer: Answer) -> None:
        self._call = call
        self._op = op
        self._answer = answer
        self._watcher: Watcher | None = None
        self.tool_error = False
        if op.kind == "llm":
            answer.heads.append(self._listen)
        else:
            answer.feeds.append(self._tool)

    def _listen(self, start: Message) -> None:
        if start["status"] >= 400 or self._call.usage is not None:
            return
        headers = dict(start.get("headers", ()))
        if headers.get(b"content-encoding", b"") in _PLAIN:
            stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            self._watcher = Watcher(stream=stream)
            self._answer.feeds.append(self._watcher.feed)

    def _tool(self, chunk: bytes) -> None:
        self.tool_error = self.tool_error or _TOOL_ERROR in chunk

    def settle(self) -> None:
        """The usage that the app did not tell: what was read from the answer, or an estimate."""
        call, answer, watcher = self._call, self._answer, self._watcher
        if self._op.kind != "llm" or call.usage is not None or not 200 <= answer.status < 400:
            return
        prompt = estimate.prompt(call.body or b"", call.upstream_model or self._op.model)
        if watcher is None:  # an encoded answer: nothing can be read in it
            call.usage = truth.judged(None, prompt=prompt, written=answer.size)
            return
        watcher.end()
        final = watcher.final and answer.ended
        call.usage = truth.judged(watcher.usage, prompt=prompt, written=watcher.written, final=final)


def _ended(call: Call, answer: Answer, seen: _Seen | None) -> Outcome:
    refusal = call.refusal
    if refusal is not None:
        return outcome_of(refusal.status, policy=refusal.policy)
    if seen is not None and seen.tool_error:
        return "tool_error"
    if answer.status >= 400:
        return outcome_of(answer.status)
    return "ok" if answer.ended else "client_gone"


def _outcome(error: BaseException) -> Outcome:
    match error:
        case Refused():
            return outcome_of(error.refusal.status, policy=error.refusal.policy)
        case UpstreamTimeout():
            return "timeout"
        case UpstreamError():
            return "upstream_error"
        case ClientGone():
            return "client_gone"
        case Exception():
            return "error"
        case _:  # cancelled
            return "client_gone"
