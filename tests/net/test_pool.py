"""What the data plane's client promises, against an upstream that does exactly what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvloop

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import DEFAULT_TIMEOUTS, Timeouts, header
from gateway.net.pool import Pool, Settings
from gateway.net.proxies import NO_PROXIES
from tests.net.upstream import Peer, Script, answer, once, repeat, upstream

FAST = Timeouts(connect=5, first_byte=0.05, idle=0.05, total=5)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(proxies=NO_PROXIES)
    yield made
    await made.close()
    await asyncio.sleep(0)


async def fetch(pool: Pool, url: str, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> bytes:
    response = await pool.send("POST", url, body=b"{}", timeouts=timeouts)
    try:
        return await response.read()
    finally:
        response.close()


async def test_the_request_is_sent_with_host_and_length_and_nothing_else(pool: Pool) -> None:
    async with upstream(repeat(answer(b"ok"))) as up:
        response = await pool.send("POST", up.url + "/v1/x?beta=true", headers=[(b"x-a", b"1")], body=b"{}")
        assert (response.status, await response.read()) == (200, b"ok")
        host = up.url.removeprefix("http://").encode()
        assert up.requests == [
            b"POST /v1/x?beta=true HTTP/1.1\r\nhost: " + host + b"\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}"
        ]


async def test_a_get_has_no_length(pool: Pool) -> None:
    async with upstream(repeat(answer(b"ok"))) as up:
        await (await pool.send("GET", up.url)).read()
        assert up.requests[0].startswith(b"GET / HTTP/1.1\r\n")
        assert b"content-length" not in up.requests[0]


async def test_a_connection_is_used_again_even_when_nobody_closes_the_answer(pool: Pool) -> None:
    async with upstream(repeat(answer(b"ok"))) as up:
        for _ in range(5):
            response = await pool.send("POST", up.url, body=b"{}")
            assert await response.read() == b"ok"
        assert len(up.peers) == 1


ANSWERS = {
    "length": (answer(b"hello world", headers=b"X-One: 1\r\n"), b"hello world"),
    "empty header value": (answer(b"ok", headers=b"x-empty:\r\nx-two: 2\r\n"), b"ok"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n",
        b"hello world",
    ),
    "until the end": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello world", b"hello world"),
    "http 1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello world", b"hello world"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "early hints": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nlink: y\r\n\r\n" + answer(b"ok"), b"ok"),
    "compressed": (answer(b"\x1f\x8b\x00", headers=b"content-encoding: gzip\r\n"), b"\x1f\x8b\x00"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_the_same_however_its_bytes_are_split(pool: Pool, name: str) -> None:
    raw, body = ANSWERS[name]
    splits = iter(range(len(raw)))

    async def script(peer: Peer) -> None:
        await peer.request()
        at = next(splits)
        await peer.write(raw[:at])
        await asyncio.sleep(0)
        await peer.write(raw[at:])

    async with upstream(script) as up:
        seen = set()
        for _ in range(len(raw)):
            response = await pool.send("POST", up.url, body=b"{}")
            seen.add((response.status, tuple(response.headers), await response.read(), response.ended))
        assert len(seen) == 1
        status, headers, got, ended = seen.pop()
        assert (got, ended) == (body, True)
        assert status == (204 if name == "no content" else 200)
        assert all(key == key.lower() and key not in (b"link", b"x-t") for key, _ in headers)


async def test_bytes_one_by_one_make_the_same_answer(pool: Pool) -> None:
    raw, body = ANSWERS["chunked"]

    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(len(raw)):
            await peer.write(raw[at : at + 1])
            await asyncio.sleep(0)

    async with upstream(script) as up:
        assert await fetch(pool, up.url) == body


async def test_a_head_answer_has_no_body_whatever_length_it_names(pool: Pool) -> None:
    async with upstream(once(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n")) as up:
        response = await pool.send("HEAD", up.url)
        assert (response.status, await response.read()) == (200, b"")
        assert header(response.headers, b"content-length") == b"11"


async def test_a_redirect_is_returned_and_not_followed(pool: Pool) -> None:
    async with upstream(repeat(answer(b"", status=b"302 Found", headers=b"location: /elsewhere\r\n"))) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        assert (response.status, header(response.headers, b"location")) == (302, b"/elsewhere")
        assert len(up.requests) == 1


BROKEN = {
    "not http": b"hello\r\n\r\n",
    "line feeds only": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "an unknown transfer coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 70_000,
    "endless hints": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3000,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_that_is_not_http_is_an_error(pool: Pool, name: str) -> None:
    async with upstream(once(BROKEN[name])) as up:
        with pytest.raises(UpstreamError):
            await fetch(pool, up.url)


CUT = {
    "in the head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "in a body of known length": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
    "in a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    "between chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "before anything": b"",
}


@pytest.mark.parametrize("name", CUT)
async def test_a_cut_answer_is_never_a_whole_one(pool: Pool, name: str) -> None:
    async with upstream(once(CUT[name])) as up:
        with pytest.raises(UpstreamClosed) as caught:
            await fetch(pool, up.url)
        assert caught.value.sent
        assert len(up.requests) == 1


async def test_bytes_before_a_cut_are_handed_on_first(pool: Pool) -> None:
    async with upstream(once(CUT["between chunks"])) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        assert await response.chunk() == b"hello"
        with pytest.raises(UpstreamClosed):
            await response.chunk()


async def test_a_reset_in_an_answer_without_a_length_is_a_cut(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await go.wait()
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: close by a reset
        peer.reset()

    go = asyncio.Event()
    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        assert await response.chunk() == b"hello"
        go.set()
        with pytest.raises(UpstreamClosed):
            await response.chunk()


async def test_bytes_behind_an_answer_end_the_connection_and_reach_nobody(pool: Pool) -> None:
    async with upstream(repeat(answer(b"ok") + answer(b"smuggled"))) as up:
        assert await fetch(pool, up.url) == b"ok"
        assert await fetch(pool, up.url) == b"ok"
        assert len(up.peers) == 2


async def test_bytes_that_arrive_on_an_idle_connection_end_it(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b"ok"))
        if peer.number == 0:
            await go.wait()
            await peer.write(answer(b"smuggled"))
            await peer.gone()
            ended.set()
        else:
            await peer.gone()

    go, ended = asyncio.Event(), asyncio.Event()
    async with upstream(script) as up:
        assert await fetch(pool, up.url) == b"ok"
        go.set()
        await ended.wait()
        assert await fetch(pool, up.url) == b"ok"
        assert len(up.peers) == 2


def test_bytes_that_come_before_the_request_was_written_are_no_answer_to_it() -> None:
    async def ask(pool: Pool) -> bytes:
        async with upstream(repeat(answer(b"ok"))) as up:
            await asyncio.gather(fetch(pool, up.url), fetch(pool, up.url))
            first, second = (asyncio.create_task(fetch(pool, up.url)) for _ in range(2))
            for peer in up.peers:
                asyncio.get_running_loop().call_soon(peer.writer.write, answer(b"smuggled"))
            await first  # it may have been written at once
            return await second

    async def asked() -> bytes:
        pool = Pool(proxies=NO_PROXIES)
        try:
            return await ask(pool)
        finally:
            await pool.close()

    assert uvloop.run(asked()) == b"ok"  # asyncio's own loop writes before it reads


async def test_requests_of_one_turn_arrive_whole_on_their_own_connections(pool: Pool) -> None:
    async def echo(peer: Peer) -> None:
        while True:
            body = (await peer.request()).partition(b"\r\n\r\n")[2]
            await peer.write(answer(body))

    async def said(url: str, body: bytes) -> bytes:
        return await (await pool.send("POST", url, body=body)).read()

    async with upstream(echo) as up:
        bodies = [b"%d" % number * 1000 for number in range(20)]
        for _ in range(2):
            assert await asyncio.gather(*(said(up.url, body) for body in bodies)) == bodies


async def test_a_request_that_meets_a_closing_connection_is_sent_once_more(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.write(answer(b"first"))
            await peer.request()  # read, and closed without a word: the race of an idle connection
            return
        await peer.write(answer(b"second"))
        await peer.gone()

    async with upstream(script) as up:
        assert await fetch(pool, up.url) == b"first"
        assert await fetch(pool, up.url) == b"second"
        assert len(up.requests) == 3


async def test_the_resend_happens_once_only(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.write(answer(b"first"))
            await peer.request()

    async with upstream(script) as up:
        assert await fetch(pool, up.url) == b"first"
        with pytest.raises(UpstreamClosed) as caught:
            await fetch(pool, up.url)
        assert caught.value.sent
        assert len(up.requests) == 3


async def test_a_refused_connection_says_that_nothing_was_sent(pool: Pool) -> None:
    async with upstream(repeat(b"")) as up:
        url = up.url
    with pytest.raises(UpstreamClosed) as caught:
        await fetch(pool, url)
    assert not caught.value.sent


async def test_silence_before_an_answer_is_a_timeout_and_ends_the_connection(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()
        ended.set()

    ended = asyncio.Event()
    async with upstream(script) as up:
        with pytest.raises(UpstreamTimeout, match="before its answer"):
            await fetch(pool, up.url, timeouts=FAST)
        await ended.wait()


async def test_silence_between_two_pieces_is_a_timeout(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CUT["between chunks"])
        await peer.gone()

    async with upstream(script) as up:
        with pytest.raises(UpstreamTimeout, match="between two pieces"):
            await fetch(pool, up.url, timeouts=FAST)


async def test_the_total_ends_an_answer_that_never_pauses(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await peer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.001)

    async with upstream(script) as up:
        with pytest.raises(UpstreamTimeout):
            await fetch(pool, up.url, timeouts=Timeouts(total=0.05))


async def test_a_reader_that_pauses_is_not_the_upstreams_silence(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
        await go.wait()
        await peer.write(b"b")
        await peer.gone()

    go = asyncio.Event()
    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"{}", timeouts=Timeouts(idle=0.2))
        assert await response.chunk() == b"a"
        await asyncio.sleep(0.3)
        go.set()
        assert await response.chunk() == b"b"


async def test_an_upstream_is_slowed_down_to_the_readers_pace(pool: Pool) -> None:
    size = 32 * 1024 * 1024
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        piece = b"x" * 65536
        while sent < size:
            await peer.write(piece)
            sent += len(piece)
        await peer.gone()

    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.05)
        assert sent < size // 2
        got = 0
        while piece := await response.chunk():
            got += len(piece)
        assert got == size


async def test_an_answer_larger_than_the_limit_is_an_error_and_ends_the_connection(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 1_000_000)
        await peer.gone()
        ended.set()

    ended = asyncio.Event()
    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        with pytest.raises(UpstreamError, match="larger"):
            await response.read(100_000)
        await ended.wait()


async def test_a_cancelled_wait_aborts_the_upstream(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        started.set()
        await peer.gone()
        ended.set()

    started, ended = asyncio.Event(), asyncio.Event()
    async with upstream(script) as up:
        task = asyncio.create_task(fetch(pool, up.url))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 5)


async def test_closing_an_unfinished_answer_aborts_the_upstream(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(CUT["between chunks"])
        await peer.gone()
        ended.set()

    ended = asyncio.Event()
    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        assert await response.chunk() == b"hello"
        response.close()
        response.close()
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(UpstreamClosed):
            await response.chunk()


async def test_at_the_limit_a_request_waits_for_a_connection() -> None:
    pool = Pool(settings=Settings(limit=2), proxies=NO_PROXIES)
    async with upstream(repeat(answer(b"ok"))) as up:
        got = await asyncio.gather(*(fetch(pool, up.url) for _ in range(20)))
        assert got == [b"ok"] * 20
        assert len(up.peers) <= 2
        await pool.close()


async def test_a_connection_that_is_closed_while_it_is_handed_over_costs_nobody_an_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        started.set()
        await go.wait()
        peer.writer.write(answer(b"ok"))

    started, go = asyncio.Event(), asyncio.Event()
    pool = Pool(settings=Settings(limit=1), proxies=NO_PROXIES)
    async with upstream(script) as up:
        first = asyncio.create_task(fetch(pool, up.url))
        await started.wait()
        others = [asyncio.create_task(fetch(pool, up.url)) for _ in range(3)]
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(first, *others) == [b"ok"] * 4
        assert [len(peer.requests) for peer in up.peers] == [1] * 4
        await pool.close()


async def test_who_waits_too_long_for_a_connection_is_told_and_the_others_go_on() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        started.set()
        await go.wait()
        await peer.write(answer(b"ok"))
        await peer.request()
        await peer.write(answer(b"ok"))

    started, go = asyncio.Event(), asyncio.Event()
    pool = Pool(settings=Settings(limit=1), proxies=NO_PROXIES)
    async with upstream(script) as up:
        first = asyncio.create_task(fetch(pool, up.url))
        await started.wait()
        with pytest.raises(UpstreamTimeout, match="busy"):
            await fetch(pool, up.url, timeouts=Timeouts(connect=0.02))
        later = asyncio.create_task(fetch(pool, up.url))
        go.set()
        assert (await first, await later) == (b"ok", b"ok")
        await pool.close()


async def test_a_waiting_request_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        started.set()
        await go.wait()
        await peer.write(answer(b"ok"))
        await peer.request()
        await peer.write(answer(b"ok"))

    started, go = asyncio.Event(), asyncio.Event()
    pool = Pool(settings=Settings(limit=1), proxies=NO_PROXIES)
    async with upstream(script) as up:
        first = asyncio.create_task(fetch(pool, up.url))
        await started.wait()
        second, third = (asyncio.create_task(fetch(pool, up.url)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        go.set()
        assert (await first, await third) == (b"ok", b"ok")
        await pool.close()


async def test_a_large_body_arrives_whole(pool: Pool) -> None:
    async with upstream(repeat(answer(b"ok"))) as up:
        body = bytes(range(256)) * 4096
        await (await pool.send("POST", up.url, body=body)).read()
        assert up.requests[0].endswith(b"\r\n\r\n" + body)


async def test_an_answer_before_the_request_is_read_ends_the_connection(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.write(answer(b"too large", status=b"413 Payload Too Large"))
        await go.wait()

    go = asyncio.Event()
    async with upstream(script) as up:
        response = await pool.send("POST", up.url, body=b"x" * 16_000_000)
        assert (response.status, await response.read()) == (413, b"too large")
        second = asyncio.create_task(pool.send("POST", up.url, body=b"{}"))
        assert (await second).status == 413
        assert len(up.peers) == 2
        go.set()


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", []),
        ("/a\r\nx: y", []),
        ("/", [(b"x-a", b"1\r\nx-b: 2")]),
        ("/", [(b"x-a\n", b"1")]),
    ],
)
async def test_a_request_cannot_be_split(pool: Pool, target: str, headers: list[tuple[bytes, bytes]]) -> None:
    async with upstream(repeat(answer(b"ok"))) as up:
        with pytest.raises(ValueError, match="line break"):
            await pool.send("POST", up.url + target, headers=headers, body=b"{}")
        assert up.requests == []


@pytest.mark.parametrize("url", ["ftp://x/", "http:///x", "http://u:p@host/x", "http://host?x=1", "nothing"])
async def test_a_url_that_is_no_upstream_is_refused(pool: Pool, url: str) -> None:
    with pytest.raises(ValueError):
        await pool.send("GET", url)


async def test_an_idle_connection_is_given_up_after_a_while() -> None:
    pool = Pool(settings=Settings(keep_alive=0.02), proxies=NO_PROXIES)
    async with upstream(repeat(answer(b"ok"))) as up:
        assert await fetch(pool, up.url) == b"ok"
        await asyncio.sleep(0.05)
        assert await fetch(pool, up.url) == b"ok"
        assert len(up.peers) == 2
        await pool.close()


def test_one_pool_serves_one_event_loop_after_another() -> None:
    pool = Pool(proxies=NO_PROXIES)

    async def visit() -> bytes:
        async with upstream(repeat(answer(b"ok"))) as up:
            try:
                return await fetch(pool, up.url)
            finally:
                await pool.close()

    assert [asyncio.run(visit()) for _ in range(3)] == [b"ok"] * 3


def slowly(*pieces: bytes, go: asyncio.Semaphore) -> Script:
    """A head, and one chunk for each time the test says go; then the connection is cut."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            await go.acquire()
            await peer.write(piece)
        await go.acquire()

    return script


async def test_pieces_are_poured_until_one_is_refused_and_the_last_is_left(pool: Pool) -> None:
    def take(piece: bytes) -> bool:
        if piece == b"c":
            return False
        poured.append(piece)
        go.release()
        return True

    go, poured = asyncio.Semaphore(0), []  # type: ignore[var-annotated]
    chunks = (b"1\r\n%b\r\n" % piece for piece in (b"a", b"b", b"c", b"d"))
    async with upstream(slowly(*chunks, b"1\r\ne\r\n0\r\n\r\n", go=go)) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        go.release()
        await response.pour(take)
        assert poured == [b"a", b"b"]
        await response.pour(take)  # what was refused has to be read first
        assert await response.chunk() == b"c"
        go.release()
        await response.pour(take)
        assert poured == [b"a", b"b", b"d"]
        assert await response.chunk() == b"e"
        await response.pour(take)
        assert response.ended


async def test_what_takes_pieces_may_fail_and_its_reader_hears_of_it(pool: Pool) -> None:
    def take(piece: bytes) -> bool:
        raise ZeroDivisionError

    go = asyncio.Semaphore(0)
    async with upstream(slowly(b"1\r\na\r\n", go=go)) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        go.release()
        with pytest.raises(ZeroDivisionError):
            await response.pour(take)
        response.close()


@pytest.mark.parametrize("cut", [b"3\r\nab", b"2\r\nab\r\n", b"2\r\nab\r\nno chunk"])
async def test_an_answer_that_is_cut_or_broken_while_it_is_poured_is_an_error_after_all_that_came_of_it(
    pool: Pool, cut: bytes
) -> None:
    def take(piece: bytes) -> bool:
        poured.append(piece)
        return True

    go, poured = asyncio.Semaphore(0), []  # type: ignore[var-annotated]
    async with upstream(slowly(cut, go=go)) as up:
        response = await pool.send("POST", up.url, body=b"{}")
        go.release()
        go.release()
        await response.pour(take)
        with pytest.raises(UpstreamError):
            await response.chunk()
        assert poured == [b"ab"]
