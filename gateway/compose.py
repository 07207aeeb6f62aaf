"""One ASGI app from routes: the stack of each, and the router in front of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from msgspec import Struct

from gateway import refusals
from gateway.body import DEFAULT, Bound
from gateway.call import Call
from gateway.known import Known
from gateway.middleware.access import AccessMiddleware, Observer, Tracer
from gateway.types import App, Receive, Scope, Send

Layer = Callable[[App], App]


class Stack(Struct, frozen=True):
    """The policies of a route, each still waiting for the app that it goes around. None: switched off."""

    auth: Layer | None = None
    authz: Layer | None = None
    ratelimit: Layer | None = None
    guard: Layer | None = None
    usage: Layer | None = None

    def around(self, app: App) -> App:
        for layer in (self.usage, self.guard, self.ratelimit, self.authz, self.auth):
            if layer is not None:
                app = layer(app)
        return app


class Route(Struct, frozen=True):
    path: str  # "/" or "/mcp": matched by whole segments
    app: App
    exact: bool = False
    ports: frozenset[int] = frozenset()  # empty: every port
    mcp: bool = False


class Router:
    """Finds the route: fixed paths first, then the longest path that matches by whole segments."""

    def __init__(self, routes: Sequence[Route], *, fixed: Mapping[str, App]) -> None:
        self.fixed = dict(fixed)
        ordered = sorted(routes, key=lambda r: (not r.exact, -len(r.path)))
        self.routes = [(each, each.path.rstrip("/")) for each in ordered]
        self._serving = Known(self._those_that_serve)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        call = Call.of(scope)
        path = call.path
        app = self.fixed.get(path)
        if app is not None:
            return app(scope, receive, send)
        for route, prefix in self._serving[path]:
            if not route.ports or _port(scope) in route.ports:
                call.route = route.path
                if route.mcp:
                    call.dialect, call.endpoint = "mcp", None
                elif call.endpoint is not None and call.endpoint.prefix != prefix:
                    call.endpoint = None  # /v1/v1/messages: the API's path, but not where the route begins
                return route.app(scope, receive, send)
        refusal = refusals.invalid(f"no route of this gateway serves {path}", status=404)
        return refusals.send_refusal(call, refusal, send)

    def _those_that_serve(self, path: str) -> Sequence[tuple[Route, str]]:
        return [
            (route, prefix)
            for route, prefix in self.routes
            if path == route.path or (not route.exact and path.startswith(prefix + "/"))
        ]


def _port(scope: Scope) -> int | None:
    return (scope.get("server") or (None, None))[1]


class Status:
    """`/healthz` says that the process lives, `/readyz` that it may be sent requests."""

    def __init__(self, wrong: Callable[[], Awaitable[str]]) -> None:
        self.wrong = wrong

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = await self.wrong()
        body = orjson.dumps({"status": "unavailable", "reason": reason} if reason else {"status": "ok"})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 503 if reason else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class Document:
    """A fixed JSON document that anybody may read, from any origin: OAuth metadata."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            (b"access-control-allow-origin", b"*"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


async def _alive() -> str:
    return ""


def compose(
    routes: Sequence[Route],
    *,
    observers: Sequence[Observer] = (),
    tracer: Tracer | None = None,
    bound: Bound = DEFAULT,
    phases: bool = False,
    fixed: Mapping[str, App] | None = None,
    ready: Callable[[], Awaitable[str]] = _alive,
    flush: Callable[[], Awaitable[None]] | None = None,
) -> App:
    """The whole gateway as one ASGI app. `phases`: somebody shows where a call's time went. `flush` is awaited at the end of
    each request, before the app returns."""
    alive = Status(_alive)
    paths: dict[str, App] = {"/healthz": alive, "/health": alive, "/readyz": Status(ready), **(fixed or {})}
    router = Router(routes, fixed=paths)
    return AccessMiddleware(
        router, observers=observers, tracer=tracer, bound=bound, phases=phases, flush=flush
    )
