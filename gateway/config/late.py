"""On Lambda a route's app is made when it is first asked, so that the first answer waits for nothing that it does not need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.types import App, Receive, Scope, Send


class Late:
    """`Late(make)`: the app that `make()` makes, once."""

    def __init__(self, make: Callable[[], App]) -> None:
        self._make = make
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = self._make()
        await self._app(scope, receive, send)

    async def close(self) -> None:
        await closed(self._app)


def closed(app: object) -> Awaitable[None]:
    """Ends what an app has started, where it starts anything."""
    close: Callable[[], Awaitable[None]] = getattr(app, "close", _nothing)
    return close()


async def _nothing() -> None:
    return
