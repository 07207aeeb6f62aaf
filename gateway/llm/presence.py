"""The client may leave, or the call be stopped, while an upstream works: money that nobody wants spent.

Noticing it takes a task that waits in `receive`. Most answers are over before that would pay, so it starts late.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from gateway.call import Call
from gateway.errors import ClientGone, Refused
from gateway.net.late import Late
from gateway.types import Receive

GRACE = 0.5  # seconds


class Presence(Struct, eq=False):
    """Cancels what happens inside when the client leaves (ClientGone) or the call is stopped (Refused).

    with Presence(call, receive, late, asyncio.current_task()) as presence:
        ...
    if presence.ended:
        await presence.over()
    """

    _call: Call
    _receive: Receive
    _late: Late
    _task: asyncio.Task[Any]
    ended: bool = False
    _listener: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        if self._call.stopped is not None:
            raise Refused(self._call.stopped)
        self._late.add(self, self._task.get_loop())
        self._call.abort = self._end
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._late.remove(self)
        if self._listener is not None:
            self._listener.cancel()
        self._call.abort = None
        if not self.ended or kind is None:
            return
        if self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            if self._call.stopped is not None:
                raise Refused(self._call.stopped) from None
            raise ClientGone("the client left before the answer was complete") from None

    async def over(self) -> None:
        """The cancellation came in the moment of success and is still to be delivered."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        self._task.uncancel()

    def start(self) -> None:
        self._listener = self._task.get_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._task.cancel()
