"""Any httpx transport behind the same boundary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import Timeouts
from gateway.net.over_httpx import HttpxClient
from tests.net.upstream import Peer, answer, once, repeat, upstream


@pytest.fixture
async def client() -> AsyncIterator[HttpxClient]:
    made = HttpxClient(httpx.AsyncClient(trust_env=False))
    yield made
    await made.close()


async def test_an_answer_comes_as_it_was_sent(client: HttpxClient) -> None:
    raw = answer(b"\x1f\x8b\x00", status=b"302 Found", headers=b"Location: /x\r\ncontent-encoding: gzip\r\n")
    async with upstream(repeat(raw)) as up:
        response = await client.send("POST", up.url + "/v1?x=1", headers=[(b"x-a", b"1")], body=b"{}")
        assert (response.status, await response.read(), response.ended) == (302, b"\x1f\x8b\x00", True)
        assert (b"location", b"/x") in response.headers
        assert b"\r\nx-a: 1\r\n" in up.requests[0]


async def test_a_transport_of_ones_own_needs_no_network() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"hello " + request.content)

    client = HttpxClient(httpx.AsyncClient(transport=httpx.MockTransport(serve)))
    response = await client.send("POST", "http://anything.example/", body=b"you")
    assert await response.read() == b"hello you"
    await client.close()


async def test_a_stream_comes_in_pieces(client: HttpxClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await go.wait()
        await peer.write(b"0\r\n\r\n")

    go = asyncio.Event()
    async with upstream(script) as up:
        response = await client.send("GET", up.url)
        assert await response.chunk() == b"hello"
        go.set()
        assert await response.chunk() == b""


async def test_failures_are_the_boundarys_own(client: HttpxClient) -> None:
    async with upstream(once(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")) as up:
        response = await client.send("GET", up.url)
        with pytest.raises(UpstreamClosed):
            await response.read()
        url = up.url
    with pytest.raises(UpstreamClosed) as caught:
        await client.send("GET", url)
    assert not caught.value.sent
    with pytest.raises(UpstreamError):
        await client.send("GET", "ftp://host/")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"])
async def test_silence_is_a_timeout(client: HttpxClient, sent: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(sent)
        await peer.gone()

    async with upstream(script) as up:
        with pytest.raises(UpstreamTimeout):
            await (await client.send("GET", up.url, timeouts=Timeouts(first_byte=0.05, idle=0.05))).read()


async def test_closing_ends_the_upstream_and_a_limit_does_too(client: HttpxClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n" + b"x" * 20_000)
        await peer.gone()
        ended.release()

    ended = asyncio.Semaphore(0)
    async with upstream(script) as up:
        (await client.send("GET", up.url)).close()
        await asyncio.wait_for(ended.acquire(), 5)
        with pytest.raises(UpstreamError, match="larger"):
            await (await client.send("GET", up.url)).read(10)
        await asyncio.wait_for(ended.acquire(), 5)
