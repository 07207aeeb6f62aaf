"""Resources that legacy clients follow at servers of the modern era, which know no such request, only subscriptions.

The client says which resource, and hears of it on its GET stream; the server wants both at once. So what a session follows
is remembered by the process that holds its stream, which subscribes in the client's place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from msgspec import Struct

from gateway.mcp.names import Own

MOST = 100  # resources of one session: each is a subscription of its own, so that none is missed while another one begins
_SESSIONS = 4096

Listen = Callable[[Own], Coroutine[Any, Any, None]]


class _Session(Struct, eq=False):
    wanted: dict[Own, asyncio.Task[None] | None] = {}
    listen: Listen | None = None  # where its stream is open


class Following:
    """By session: what its client follows, as server and the server's own URI."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def follow(self, session: str, own: Own) -> bool:
        """False where it follows too many already."""
        known = self._sessions.setdefault(session, _Session())
        self._sessions.move_to_end(session)
        if len(self._sessions) > _SESSIONS:
            self.forget(next(iter(self._sessions)))
        if own not in known.wanted and len(known.wanted) >= MOST:
            return False
        if known.wanted.get(own) is None:
            known.wanted[own] = asyncio.create_task(known.listen(own)) if known.listen else None
        return True

    def leave(self, session: str, own: Own) -> None:
        known = self._sessions.get(session)
        task = known.wanted.pop(own, None) if known is not None else None
        if task is not None:
            task.cancel()

    def forget(self, session: str) -> None:
        """The session has ended."""
        known = self._sessions.pop(session, None)
        for task in known.wanted.values() if known is not None else ():
            if task is not None:
                task.cancel()

    @contextlib.contextmanager
    def stream(self, session: str, listen: Listen) -> Iterator[None]:
        """While the client's stream is open: everything that it follows is listened to by `listen`."""
        known = self._sessions.setdefault(session, _Session())
        known.listen = listen
        for own in known.wanted:
            known.wanted[own] = asyncio.create_task(listen(own))
        try:
            yield
        finally:
            if known.listen is listen:
                known.listen = None
                for own, task in known.wanted.items():
                    known.wanted[own] = None
                    if task is not None:
                        task.cancel()
                if not known.wanted:
                    self._sessions.pop(session, None)
