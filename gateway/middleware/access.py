"""The outermost middleware: makes the `Call`, answers what went wrong inside, and tells the observers at the end."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Protocol

from gateway import refusals
from gateway.answer import Answer
from gateway.body import DEFAULT, Bound
from gateway.call import Call
from gateway.errors import (
    BadRequest,
    ClientGone,
    Refused,
    StoreError,
    StoreUnusable,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.heads import Heads
from gateway.refusals import Refusal
from gateway.types import App, Receive, Scope, Send

log = logging.getLogger("gateway")
CLIENT_GONE = 499
# One reading for routing and policy: a path that two parsers could read differently is refused.
_AMBIGUOUS = re.compile(r"//|/\.{1,2}(?:/|$)|[;\\\x00-\x1f\x7f]|%(?!2F)")


@lru_cache(1024)
def _ambiguous(path: str) -> bool:
    return _AMBIGUOUS.search(path) is not None


class Observer(Protocol):
    def finished(self, call: Call) -> None:
        """Cheap, and never raises: it runs in the request's own time."""


class Tracer(Observer, Protocol):
    def begin(self, call: Call) -> None:
        """Gives the call its trace, before anything else happens to it."""


class AccessMiddleware:
    """Gives every request its `Call` and every end its observers.

    `AccessMiddleware(app, observers=[AccessLog(LineWriter())])`; a `tracer` among them also hears of the beginning. `bound`
    is how large a body may be. With `phases` each call notes where its time went, for observers that show it.
    `flush` is awaited after the observers, where nothing can be left for later.
    """

    def __init__(
        self,
        app: App,
        *,
        observers: Sequence[Observer] = (),
        tracer: Tracer | None = None,
        bound: Bound = DEFAULT,
        phases: bool = False,
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.app = app
        self.bound = bound
        self.phases = phases
        self.observers = tuple(observers)
        self.tracer = tracer
        self.flush = flush
        self._heads = Heads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call.new(scope, self._heads)
        state = scope.setdefault("state", {})
        state["gateway"], state["gateway.bound"] = call, self.bound
        call.timed = self.phases
        if self.tracer is not None:
            self.tracer.begin(call)
        answer = Answer(call, send, ((b"x-gateway-call", call.id.encode()),))
        try:
            if _ambiguous(call.path):
                raise BadRequest("the path can be read in more than one way: send it normalised")
            await self.app(scope, receive, answer)
        except Exception as error:
            await _explain(call, error, answer)
        finally:
            call.bytes_out = answer.size
            for observer in self.observers:
                observer.finished(call)
            if self.flush is not None:
                await self.flush()


async def _explain(call: Call, error: Exception, answer: Answer) -> None:
    if isinstance(error, ClientGone):
        call.status = call.status or CLIENT_GONE
        return
    refusal = _refusal(error)
    if refusal.status >= 500:
        log.error(
            "%s %s: %s", call.id, call.path, error, exc_info=not isinstance(error, UpstreamError | StoreError)
        )
    if answer.status:
        call.refusal = refusal
        raise error  # the server breaks the connection, so that the answer does not look whole
    await refusals.send_refusal(call, refusal, answer)


def _refusal(error: Exception) -> Refusal:
    match error:
        case Refused():
            return error.refusal
        case BadRequest():
            return refusals.invalid(str(error), status=error.status)
        case UpstreamTimeout():
            return Refusal(504, "timeout_error", error.plain)
        case UpstreamError():
            return Refusal(502, "api_error", error.plain)
        case StoreUnusable():
            return refusals.overloaded(f"the gateway's store is not set up: {error}")
        case StoreError():
            return refusals.overloaded("the gateway's store does not answer; try again")
        case _:
            return Refusal(
                500, "api_error", "the gateway failed; its log has the reason under this request's id"
            )
