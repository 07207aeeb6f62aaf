"""How much may they use? Reserves before the app runs, settles when it is done."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from gateway import body, operations, refusals
from gateway.call import Call, Principal
from gateway.errors import BadRequest, Refused
from gateway.limits import answers, estimate
from gateway.limits.policy import RateLimiter
from gateway.limits.reservation import Held
from gateway.limits.rules import Budget, Limit
from gateway.limits.spend import SpendLimits
from gateway.metering import truth
from gateway.metering.prices import Price, Prices
from gateway.metering.readers import Watcher
from gateway.metering.usage import Usage
from gateway.middleware.expressions import callable_of
from gateway.policies import Policies
from gateway.stores.memory import MemoryStore
from gateway.types import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from gateway.stores.protocols import Buckets


class RateLimitMiddleware:
    """Limits and budgets, each with its own key and condition; all that count an operation must have room for it.

        app.add_middleware(
            RateLimitMiddleware,
            store=open_store("memory:"),
            limits=[Limit(requests=120, per=60, key="principal.id")],
            budgets=[Budget(usd=100, per="day", key="principal.groups")],
        )

    `spend` are limits that an administrator sets while it runs. `principal` says who calls where no auth middleware does. With `defer` it only puts its policy on the call, for an app
    that asks per operation. `limiter` takes a finished policy instead of all others.
    """

    def __init__(
        self,
        app: App,
        *,
        store: Buckets | None = None,
        limits: Iterable[Limit] = (),
        budgets: Iterable[Budget] = (),
        prices: Prices | Mapping[str, Price | Mapping[str, float]] | None = None,
        instances: int = 1,
        enforce: bool = True,
        defer: bool = False,
        spend: SpendLimits | None = None,
        principal: Callable[[Scope], Principal | str] | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        self.app = app
        self.defer = defer
        self.principal = principal
        self.limiter = limiter or RateLimiter(
            MemoryStore() if store is None else store,
            limits=limits,
            budgets=budgets,
            prices=prices if isinstance(prices, Prices) else Prices(prices),
            instances=instances,
            enforce=enforce,
            spend=spend,
            compile=callable_of,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.of(scope)
        if self.principal is not None:
            call.principal = _named(self.principal(scope))
        if self.defer:
            if call.policies is None:
                call.policies = Policies()
            call.policies.ratelimit = self.limiter
            return await self.app(scope, receive, send)
        started = time.perf_counter_ns()
        try:
            operation, read = await operations.of(call, scope, receive)
            held = await self.limiter.reserve(call, operation)
        except BadRequest as error:
            refusal = refusals.invalid(str(error), status=error.status)
            return await refusals.send_refusal(call, refusal, send)
        except Refused as error:
            return await refusals.send_refusal(call, error.refusal, send)
        call.took("ratelimit", started)
        replayed = body.replay(read, receive)
        if not held:
            return await self.app(scope, replayed, send)
        await self._run(held, scope, replayed, send)

    async def _run(self, held: Held, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(held, send)
        try:
            await self.app(scope, receive, answer)
        finally:
            usage = answer.usage()
            await held.settle(usage, self._usd(held, usage))

    def _usd(self, held: Held, usage: Usage | None) -> float | None:
        call = held.call
        if usage is None:
            return None
        if call.records:
            return sum(record.usd for record in call.records)
        model = call.upstream_model or held.op.model
        return self.limiter.prices.cost(usage, model=model, provider=call.provider).usd


class _Answer:
    """The `send` of one request: puts the caller's own figures into the head, and reads the usage where nobody else does."""

    __slots__ = ("_held", "_send", "_size", "_status", "_watcher")

    def __init__(self, held: Held, send: Send) -> None:
        self._held = held
        self._send = send
        self._status = 0
        self._size = 0
        self._watcher: Watcher | None = None

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body":
            chunk = message.get("body", b"")
            self._size += len(chunk)
            if self._watcher is not None:
                self._watcher.feed(chunk)
        return self._send(message)

    def _start(self, message: Message) -> None:
        held, self._status = self._held, message["status"]
        if held.op.kind != "llm" or self._status >= 400:
            return
        headers = message.get("headers", ())
        if own := held.headers():
            kept = [item for item in headers if not item[0].startswith(answers.UPSTREAM)]
            message["headers"] = [*kept, *own]
        if held.waits_for_usage and not held.call.metered and held.call.usage is None:
            found = dict(headers)
            if found.get(b"content-encoding", b"identity") == b"identity":
                stream = found.get(b"content-type", b"").startswith(b"text/event-stream")
                self._watcher = Watcher(stream=stream)

    def usage(self) -> Usage | None:
        """What to charge; None where nothing was used."""
        call = self._held.call
        if call.usage is not None or self._held.op.kind != "llm" or not 200 <= self._status < 400:
            return call.usage
        prompt = estimate.prompt(call.body or b"", call.upstream_model or self._held.op.model)
        if self._watcher is None:
            return truth.judged(None, prompt=prompt, written=self._size)
        self._watcher.end()
        return truth.judged(
            self._watcher.usage, prompt=prompt, written=self._watcher.written, final=self._watcher.final
        )


def _named(given: Principal | str) -> Principal:
    return given if isinstance(given, Principal) else Principal(given, "key", name=given)
