"""uvicorn's HTTP protocol, with an end to requests that never come to theirs (slow heads, endless heads, silent bodies),
and with less work for each request than uvicorn's own."""

from __future__ import annotations

import asyncio
from collections import deque
from operator import itemgetter
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.cli.cycle import Cycle
from gateway.known import Known
from gateway.net.client import values
from gateway.net.outbox import outbox

HEAD = 64 * 1024  # bytes of a head beyond its first piece, which is what one read of the socket gave
PATIENCE = 30.0  # seconds for a head, and for each silence inside of a body
_NAME = itemgetter(0)
_OFFER = (b"connection", b"upgrade", b"http2-settings")


def _parsed(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, undecoded path and query."""
    found = httptools.parse_url(url)
    return unquote(found.path.decode("ascii")), found.path, found.query or b""


_urls: Known[bytes, tuple[str, bytes, bytes]] = Known(_parsed)
_methods: Known[bytes, str] = Known(lambda method: method.decode("ascii"))


class PatientProtocol(HttpToolsProtocol):
    """A request that arrives whole starts no timer: one for the connection's rest goes on, and looks how long it was."""

    patience = PATIENCE
    cycle: Cycle | None  # type: ignore[assignment]  # that of the latest request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.outbox = outbox(self.loop)
        self._size: int | None = 0  # of an unfinished head beyond its first piece; None: no head is awaited
        self._finished = False
        self._timer: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._since = 0.0  # the loop's time of the latest answer's end
        self._serving: Cycle | None = None
        self._queue: deque[Cycle] = deque()  # requests that came while it was served
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "method": "",
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "headers": [],
            "state": {},
        }
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        if self._resting is not None:
            self._resting.cancel()
        lost, self.cycle, self._serving = (self._serving, self.cycle), None, None
        self._queue.clear()
        super().connection_lost(exc)
        for cycle in lost:
            if cycle is not None:
                cycle.lost()

    def eof_received(self) -> None:
        self.outbox.flush()

    def shutdown(self) -> None:
        self.outbox.flush()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        inside = self._size is not None and not self._finished
        self._feed(data)
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

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._size is None:  # it is served: a CONNECT, behind which nothing follows
                    return
                data = self._again(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                return self._unreadable()

    # -- what the parser finds

    def on_message_begin(self) -> None:
        self.url, self.headers = b"", []
        self._finished = False
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._size is not None:  # otherwise a trailer: what comes behind a body is no header
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser, headers, scope = self.parser, self.headers, self._scope.copy()
        names = [*map(_NAME, headers)]
        if b"upgrade" in names and parser.should_upgrade():
            return  # this parser will not read its body: see `_again`
        self._size = None
        path, raw_path, query = _urls[self.url]
        scope["method"], scope["path"] = _methods[parser.get_method()], self.root_path + path
        scope["raw_path"], scope["query_string"] = self.root_path.encode("ascii") + raw_path, query
        scope["headers"], scope["state"] = headers, self.app_state.copy()
        stays = parser.should_keep_alive()
        if not stays or b"connection" in names:  # only 1.1 stays without saying so
            version = scope["http_version"] = parser.get_http_version()
            stays = stays and version != "1.0"
        expects = b"expect" in names and b"100-continue" in map(bytes.lower, values(headers, b"expect"))
        cycle = Cycle(self, scope, stays, expects)
        before, self.cycle = self.cycle, cycle
        if before is None or before.response_complete:
            self._serve(cycle)
        else:
            self.flow.pause_reading()
            self._queue.append(cycle)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.hear(body)
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self._size is not None:
            return
        self._finished = True
        cycle = self.cycle
        if cycle is None:
            return
        if cycle.response_complete:  # before its body was
            return self._begin_rest()
        cycle.more_body = False
        cycle.wake()

    def _again(self, rest: bytes) -> bytes:
        """What a new parser is to read: the request as if it had not offered another protocol, as Java's client does with
        h2c, and what follows, which httptools takes for that protocol's."""
        parser, headers = self.parser, self.headers
        tokens = b",".join(values(headers, b"connection")).lower().replace(b" ", b"").split(b",")
        kept = [pair for pair in headers if pair[0] not in _OFFER]
        kept += [(b"connection", b"close")] if b"close" in tokens else []
        start = b"%b %b HTTP/%b" % (parser.get_method(), self.url, parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join((start, *map(b": ".join, kept), b"", rest))

    def _unreadable(self) -> None:
        """Bytes that are no HTTP spoil no answer that is being given to what came before them."""
        self.logger.warning("Invalid HTTP request received.")
        self.outbox.flush()
        serving = self._serving
        if (
            serving is None
            or serving.response_complete
            or (serving.more_body and not serving.response_started)
        ):
            self.send_400_response("Invalid HTTP request received.")
        elif serving.more_body:
            self.transport.close()
        else:
            serving.keep_alive = False
            self._queue.clear()

    # -- requests, one after the other

    def _serve(self, cycle: Cycle) -> None:
        self._serving = cycle
        task = cycle.task = self.loop.create_task(cycle.run(self.app))
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._queue:
            return self._serve(self._queue.popleft())
        self._begin_rest()

    def _begin_rest(self) -> None:
        self._since = self.loop.time()
        if self._resting is None:
            self._resting = self.loop.call_later(self.timeout_keep_alive, self._rested)

    def _rested(self) -> None:
        """Ends a connection on which nothing came for so long."""
        self._resting = None
        if self._timer is not None or self.cycle is None or not self.cycle.response_complete:
            return  # what has begun since has its own patience; its end will be the next beginning
        left = self._since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.timeout_keep_alive_handler()
        else:
            self._resting = self.loop.call_later(left, self._rested)

    # -- patience

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
        self.outbox.flush()
        if not self.transport.is_closing():
            self.transport.close()
