"""The served side of a connection: head and body in one write, nothing held back, nobody forgotten."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.answer import sink_of
from gateway.cli import listening
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.types import App, Message, Receive, Scope, Send


@asynccontextmanager
async def served(app: App, *, rest: float = 75) -> AsyncIterator[tuple[str, int]]:
    ready = asyncio.Event()
    server = listening.server(app, grace=1, ready=ready.set)
    server.config.timeout_keep_alive = rest  # type: ignore[assignment]
    sock = listening.bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    try:
        yield sock.getsockname()[:2]
    finally:
        server.should_exit = True
        await task


def answering(*messages: Message, between: Callable[[], Awaitable[object]] | None = None) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
            if between is not None:
                await between()

    return app


def start(**headers: str) -> Message:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_an_answer_arrives_whole_and_the_connection_stays() -> None:
    pool = Pool(proxies=NO_PROXIES)
    async with served(answering(start(content_length="5"), body(b"hello"))) as (host, port):
        for _ in range(3):
            assert await (await pool.send("GET", f"http://{host}:{port}/")).read() == b"hello"
        head = await pool.send("HEAD", f"http://{host}:{port}/")
        assert (head.status, await head.read()) == (200, b"")
        await pool.close()


async def test_head_and_first_bytes_are_one_segment() -> None:
    async with served(answering(start(content_length="5"), body(b"hello"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        got = await reader.read(65536)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\nhello")
        writer.close()


async def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    go = asyncio.Event()
    messages = start(), body(b"HTTP/1.1 is text too", more=True), body(b"")
    async with served(answering(*messages, between=go.wait)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        go.set()
        assert await reader.read() == b"14\r\nHTTP/1.1 is text too\r\n0\r\n\r\n"
        writer.close()


async def test_requests_that_come_together_are_answered_in_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = scope["path"].encode()
        await send(start(content_length=str(len(data))))
        await send(body(data))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(5)))
        got = b""
        while got.count(b"\r\n\r\n") < 5 or not got.endswith(b"/4"):
            got += await reader.read(65536)
        assert [part[:2] for part in got.split(b"\r\n\r\n")[1:]] == [b"/%d" % number for number in range(5)]
        writer.close()


async def test_an_app_that_fails_after_its_head_breaks_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        raise RuntimeError("in the middle")

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_a_broken_answer_does_not_look_whole_where_its_end_is_the_connections(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"half", more=True))
        raise RuntimeError("in the middle")

    async def ask() -> None:
        async with served(app) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(ask())


async def test_what_fails_behind_a_complete_answer_loses_neither_it_nor_the_next() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        await send(body(b"hello"))
        raise RuntimeError("in what comes after")

    async with served(app) as (host, port):
        ends = [await asyncio.open_connection(host, port) for _ in range(4)]
        for _ in range(2):
            for _, writer in ends:
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            for reader, _ in ends:
                assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
        for _, writer in ends:
            writer.close()


async def test_a_connection_that_rests_too_long_is_closed_and_one_that_is_used_is_not() -> None:
    async with served(answering(start(content_length="2"), body(b"ok")), rest=0.3) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(5):  # half a second in all
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_an_answer_that_takes_longer_than_a_rest_may_is_given() -> None:
    async def longer_than_a_rest() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, over.set)
        await over.wait()

    app = answering(start(content_length="2"), body(b"ok"), between=longer_than_a_rest)
    async with served(app, rest=0.1) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "1.0"),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "1.0"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "1.1"),
    ],
)
async def test_whoever_does_not_stay_is_told_the_end(said: bytes, version: str) -> None:
    versions = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        versions.append(scope["http_version"])
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"ok")
        assert versions == [version]
        writer.close()


async def test_a_body_is_asked_for_when_the_app_reads_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = (await receive())["body"]
        await send(start(content_length=str(len(data))))
        await send(body(data))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-Continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_large_body_arrives_whole_however_slowly_it_is_read() -> None:
    sent = bytes(range(256)) * 4096

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
            await asyncio.sleep(0)
        await send(start(content_length="1"))
        await send(body(b"1" if b"".join(parts) == sent else b"0"))

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        assert await (await pool.send("POST", f"http://{host}:{port}/", body=sent)).read() == b"1"
        await pool.close()


async def test_whoever_leaves_is_heard_by_the_app_that_runs_and_by_all_who_listen() -> None:
    heard: list[str] = []
    gone = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        assert (first["type"], first["more_body"]) == ("http.request", False)
        heard.extend(message["type"] for message in await asyncio.gather(receive(), receive()))
        heard.append((await receive())["type"])
        await send(start())  # to nobody
        await send(body(b"x"))
        gone.set()

    async with served(app) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n")
        await writer.drain()
        writer.close()
        await asyncio.wait_for(gone.wait(), 10)
        assert heard == ["http.disconnect"] * 3


@pytest.mark.parametrize("failing", [None, RuntimeError("at once")])
async def test_an_app_without_an_answer_is_a_500(failing: Exception | None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if failing is not None:
            raise failing

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        response = await pool.send("GET", f"http://{host}:{port}/")
        assert (response.status, await response.read()) == (500, b"Internal Server Error")
        await pool.close()


async def test_an_answer_shorter_than_it_said_breaks_the_connection() -> None:
    async with served(answering(start(content_length="5"), body(b"hell"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"hell" not in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_no_request_is_left_to_the_collector() -> None:
    made: list[weakref.ref[Named]] = []

    class Named(dict[str, object]):
        """A message that can be watched."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["named"] = named = Named()
        made.append(weakref.ref(named))
        await receive()
        await send(start(content_length="2"))
        await send(body(b"ok"))

    gc.disable()
    try:
        async with served(app) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            for _ in range(3):
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                await reader.readuntil(b"ok")
            assert [each() is None for each in made[:-1]] == [True, True]
            writer.close()
            await reader.read()
        assert made[-1]() is None
    finally:
        gc.enable()


async def test_pieces_without_a_message_follow_the_head_and_are_refused_where_they_would_have_to_wait() -> (
    None
):
    piece = b"x" * 65536
    taken = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        await send(start())
        sink = sink_of(send)
        assert sink is not None
        assert sink.take(b"first")
        assert not sink.take(b"")  # it would look like the end
        while sink.take(piece):  # nobody reads
            taken += 1
        go.set()
        await send(body(b"last"))
        assert not sink.take(b"too late")

    go = asyncio.Event()
    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port, limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await go.wait()
        framed = b"5\r\nfirst\r\n" + b"10000\r\n%b\r\n" % piece * taken + b"4\r\nlast\r\n0\r\n\r\n"
        assert (await reader.read()).endswith(b"\r\n\r\n" + framed)
        writer.close()


async def test_an_answer_that_is_not_chunked_has_no_such_way() -> None:
    found: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        found.append(sink_of(send))
        await send(body(b"hello"))

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        assert await (await pool.send("GET", f"http://{host}:{port}/")).read() == b"hello"
        await (await pool.send("HEAD", f"http://{host}:{port}/")).read()
        await pool.close()
    assert found == [None, None]


async def test_an_answer_without_a_body_does_not_let_the_next_one_pass() -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="2", x_which=scope["method"]))
        await send(body(b"ok"))
        if scope["method"] == "HEAD":
            await go.wait()  # still busy when its answer is complete

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"".join(b"%b / HTTP/1.1\r\nhost: x\r\n\r\n" % method for method in (b"HEAD", b"GET")))
        heads = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) for _ in range(2)]
        assert [b"x-which: HEAD" in head for head in heads] == [True, False]
        assert await reader.readexactly(2) == b"ok"
        go.set()
        writer.close()


async def test_a_body_that_was_heard_is_not_heard_again() -> None:
    here, further = asyncio.Event(), asyncio.Event()
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        here.set()
        await further.wait()
        while heard[-1]["more_body"]:
            heard.append(await receive())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.05)  # nobody leaves, and nothing else can come
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"ab")
        await here.wait()
        writer.write(b"cd")
        await asyncio.sleep(0.02)
        further.set()
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200 ")
        assert b"".join(message["body"] for message in heard) == b"abcd"
        writer.close()


async def test_a_connection_rests_from_the_end_of_a_body_that_was_answered_early() -> None:
    async with served(answering(start(content_length="2"), body(b"ok")), rest=0.1) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        await reader.readuntil(b"ok")
        for _ in range(10):  # longer than a rest may be
            await asyncio.sleep(0.02)
            writer.write(b"x")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_a_trailer_is_no_header() -> None:
    seen: dict[bytes, bytes] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope["headers"])
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-api-key: mine\r\n\r\n"
        )
        await reader.readuntil(b"ok")
        assert sorted(seen) == [b"host", b"transfer-encoding"]
        writer.close()


async def test_whoever_waits_with_a_body_that_nobody_wants_is_told_the_end() -> None:
    async with served(answering(start(content_length="2"), body(b"no"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in answer
        writer.close()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    said = b"%b %b" % (scope["method"].encode(), b"".join(parts))
    await send(start(content_length=str(len(said))))
    await send(body(said))


async def test_an_offer_of_another_protocol_is_declined_and_its_body_read() -> None:
    """As Java's client makes it to every server that it meets without TLS."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\n"
    lengths = b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for framed in (*lengths, *lengths):
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\n" + offer + framed)
            assert (await reader.readuntil(b"POST hello")).startswith(b"HTTP/1.1 200 ")
        whole = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
        for index in range(len(whole)):
            writer.write(whole[index : index + 1])
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nGET ")
        writer.close()


async def test_any_number_of_offers_at_once_is_declined() -> None:
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" * 1500)
        for _ in range(1500):
            answer = await asyncio.wait_for(reader.readuntil(b"GET "), 10)
            assert answer.startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_what_is_no_http_spoils_no_answer_to_what_came_before() -> None:
    go = asyncio.Event()
    messages = start(), body(b"one", more=True), body(b"two")
    async with served(answering(*messages, between=go.wait)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2):
            writer.write(b"\x00\x01\r\n\r\n")
            await asyncio.sleep(0.02)
        go.set()
        assert await asyncio.wait_for(reader.read(), 10) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"\x00\x01\r\n\r\n", [b"HTTP/1.1 400"]),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01\r\n\r\n", [b"HTTP/1.1 200"]),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n", [b"HTTP/1.1 400"]),
    ],
)
async def test_whoever_sends_what_is_no_http_is_answered_once_and_hears_the_end(
    said: bytes, answers: list[bytes]
) -> None:
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        got = await asyncio.wait_for(reader.read(), 10)
        assert [line[:12] for line in got.splitlines() if line.startswith(b"HTTP/")] == answers
        assert b"\r\nconnection: close\r\n" in got
        writer.close()


@pytest.mark.parametrize("ending", ["shutdown", "eof_received"])
async def test_answers_that_are_complete_are_not_lost_by_what_ends_their_connections_at_once(
    ending: str,
) -> None:
    arrived, go, ready = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
    answered: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.release()
        await go.wait()
        await send(start(content_length="5"))
        await send(body(b"hello"))
        answered.append(True)
        if len(answered) == 2:  # in the same turn of the loop
            for connection in tuple(server.server_state.connections):
                getattr(connection, ending)()
                connection.transport.close()  # type: ignore[union-attr]

    server = listening.server(app, grace=1, ready=ready.set)
    sock = listening.bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    ends = [await asyncio.open_connection(*sock.getsockname()[:2]) for _ in range(2)]
    for _, writer in ends:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await arrived.acquire()
    go.set()
    for reader, writer in ends:
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"\r\n\r\nhello")
        writer.close()
    server.should_exit = True
    await task
