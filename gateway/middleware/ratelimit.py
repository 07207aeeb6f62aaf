"""How much may they use? Reserves before the app runs, settles when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from gateway import operations, refusals
from gateway.answer import Answer
from gateway.body import Replay
from gateway.call import Call, Principal
from gateway.errors import BadRequest, Refused
from gateway.limits import estimate
from gateway.limits.policy import RateLimiter
from gateway.limits.reservation import Held
from gateway.limits.rules import Budget, Limit
from gateway.limits.spend import SpendLimits
from gateway.metering import truth
from gateway.metering.prices import CACHE, Price, Prices
from gateway.metering.readers import Watcher
from gateway.metering.usage import Usage
from gateway.middleware.expressions import callable_of
from gateway.policies import Policies
from gateway.refusals import Refusal
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
        started = call.timed and time.perf_counter_ns()
        try:
            operation = call.operation or await operations.of(call, scope, receive)
            held = self.limiter.at_once(call, operation) or await self.limiter.reserve(call, operation)
        except (BadRequest, Refused) as error:
            return await refusals.send_refusal(call, _refusal(error), send)
        if started:
            call.took("ratelimit", started)
        replayed = receive if type(receive) is Replay else Replay(call, receive)
        if not held.parts:
            return await self.app(scope, replayed, send)
        answer = send if type(send) is Answer else Answer(call, send)
        if operation.kind == "llm":
            answer.heads.append(held.tell)
        if not (held.owes or self.limiter.learns):  # requests are counted, and nothing is used
            return await self.app(scope, replayed, answer)
        spent = _Spent(held, answer)
        try:
            await self.app(scope, replayed, answer)
        finally:
            usage = spent.usage()
            await held.settle(usage, self._usd(held, usage) if held.owes else None)

    def _usd(self, held: Held, usage: Usage | None) -> float | None:
        call = held.call
        if usage is None:
            return None
        if call.records:
            return sum(record.usd for record in call.records)
        model = call.upstream_model or held.op.model
        return self.limiter.prices.cost(usage, model=model, provider=call.provider)[0]


class _Spent:
    """What an answer costs; reads its usage where nobody else does."""

    __slots__ = ("_answer", "_held", "_watcher")

    def __init__(self, held: Held, answer: Answer) -> None:
        self._held = held
        self._answer = answer
        self._watcher: Watcher | None = None
        if held.op.kind == "llm" and held.waits_for_usage:
            answer.heads.append(self._head)

    def _head(self, message: Message) -> None:
        call = self._held.call
        if message["status"] < 400 and not call.metered and call.usage is None:
            found = dict(message.get("headers", ()))
            if found.get(b"content-encoding", b"identity") == b"identity":
                stream = found.get(b"content-type", b"").startswith(b"text/event-stream")
                self._watcher = Watcher(stream=stream)
                self._answer.feeds.append(self._watcher.feed)

    def usage(self) -> Usage | None:
        """What to charge; None where nothing was used."""
        call, op = self._held.call, self._held.op
        if call.provider == CACHE:
            return None
        if call.usage is not None or op.kind != "llm" or not 200 <= self._answer.status < 400:
            return call.usage
        prompt = estimate.prompt(call.body or b"", call.upstream_model or op.model)
        if self._watcher is None:
            return truth.judged(None, prompt=prompt, written=self._answer.size)
        self._watcher.end()
        return truth.judged(
            self._watcher.usage, prompt=prompt, written=self._watcher.written, final=self._watcher.final
        )


def _refusal(error: BadRequest | Refused) -> Refusal:
    if isinstance(error, Refused):
        return error.refusal
    return refusals.invalid(str(error), status=error.status)


def _named(given: Principal | str) -> Principal:
    return given if isinstance(given, Principal) else Principal(given, "key", name=given)
