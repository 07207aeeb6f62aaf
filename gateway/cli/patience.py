"""uvicorn's HTTP protocol, with an end to requests that never come to theirs: slow heads, endless heads, silent bodies."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.net.client import values

HEAD = 64 * 1024  # bytes of a head beyond its first piece, which is what one read of the socket gave
PATIENCE = 30.0  # seconds for a head, and for each silence inside of a body


class PatientProtocol(HttpToolsProtocol):
    """A request that arrives whole costs two assignments. Only what is left unfinished by a piece of data starts a timer."""

    patience = PATIENCE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._size: int | None = 0  # of an unfinished head beyond its first piece; None: no head is awaited
        self._finished = False
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        inside = self._size is not None and not self._finished
        super().data_received(data)
        if self._finished:
            self._rest()
        elif self._size is None:
            self._wait()  # anew for each piece of a body, once for a head
        else:
            self._size += len(data) if inside else 0
            if self._size > HEAD:
                self._give_up()
            elif self._timer is None:
                self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._finished = False
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._size = None
        asked = values(self.headers, b"expect")
        self.expect_100_continue = any(value.lower() == b"100-continue" for value in asked)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._finished = True
        super().on_message_complete()

    def _wait(self) -> None:
        self._rest()
        self._timer = self.loop.call_later(self.patience, self._late)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self.flow.read_paused:  # it is we who do not read
            self._wait()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._rest()
        if not self.transport.is_closing():
            self.transport.close()
