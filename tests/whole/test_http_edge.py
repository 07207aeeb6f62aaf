"""Requests that no HTTP client would send, byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.whole.running import Whole, demo

BODY = b'{"model": "claude-sonnet-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}'
SECOND = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    async with demo(tmp_path) as running:
        yield running


async def answered(gateway: Whole, head: bytes, rest: bytes) -> bytes:
    """All that comes back until the server closes."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: %s\r\n%s\r\n\r\n%s"
        % (gateway.key.encode(), head, rest)
    )
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"content-length: 4\r\ntransfer-encoding: chunked", b"0\r\n\r\n" + SECOND),
        (b"transfer-encoding: chunked\r\ncontent-length: 4", b"0\r\n\r\n" + SECOND),
        (b"content-length: 4\r\ncontent-length: %d" % len(BODY), BODY),
        (b"content-length: +4", b"{}{}"),
        (b"content-length: -1", b""),
        (b"transfer-encoding: xchunked", b"0\r\n\r\n"),
        (b"transfer-encoding : chunked", b"0\r\n\r\n"),
        (b"x-folded: 1\r\n  2\r\ncontent-length: 0", b""),
        (b"content-length: 0\nx-bare: 1", b""),
    ],
)
async def test_row_12_a_request_that_two_parsers_could_read_differently_is_refused(
    gateway: Whole, head: bytes, rest: bytes
) -> None:
    said = await answered(gateway, head, rest)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1") == 1  # nothing behind it was read as another request
    whole = await answered(gateway, b"connection: close\r\ncontent-length: %d" % len(BODY), BODY)
    assert whole.startswith(b"HTTP/1.1 200 ")
