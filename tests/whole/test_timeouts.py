"""What a route's `timeout` says holds for models and tools."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.types import Receive, Scope, Send
from tests.whole.running import POLICIES, served, whole

ASKED = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}], "stream": True}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {}}}


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream that goes on and on."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    while True:
        await send(
            {
                "type": "http.response.body",
                "body": b'event: ping\ndata: {"type": "ping"}\n\n',
                "more_body": True,
            }
        )
        await asyncio.sleep(0.01)


@pytest.fixture
async def behind() -> AsyncIterator[str]:
    async with served(silent) as url:
        yield url


def models(url: str, timeout: str) -> str:
    provider = f"{{dialect: anthropic, base_url: '{url}', retries: 0}}"
    return f"{POLICIES}telemetry: {{log: 'off'}}\nroutes: [{{path: /, timeout: {timeout}, llm: {{providers: {{p: {provider}}}}}}}]"


@pytest.mark.parametrize("timeout", ["{request: 200ms}", "{upstream: 200ms}"])
async def test_a_model_that_is_silent_longer_is_an_error(behind: str, timeout: str) -> None:
    async with (
        whole(models(behind, timeout)) as it,
        httpx.AsyncClient(base_url=it.url, headers=it.bearer) as client,
    ):
        answer = await client.post("/v1/messages", json=ASKED)
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "timeout_error")


async def test_a_stream_that_goes_on_longer_ends_with_the_reason() -> None:
    async with (
        served(endless) as url,
        whole(models(url, "{request: 300ms}")) as it,
        httpx.AsyncClient(base_url=it.url, headers=it.bearer) as client,
    ):
        answer = await client.post("/v1/messages", json=ASKED)
    assert "event: error" in answer.text
    assert "this route ends a request after 0.3 s" in answer.text


@pytest.mark.parametrize("timeout", ["{request: 200ms}", "{upstream: 200ms}"])
async def test_a_tool_that_is_silent_longer_is_an_error(behind: str, timeout: str) -> None:
    text = f"{POLICIES}telemetry: {{log: 'off'}}\nroutes: [{{path: /mcp, timeout: {timeout}, mcp: {{servers: {{s: {{url: '{behind}'}}}}}}}}]"
    async with whole(text) as it, httpx.AsyncClient(base_url=it.url, headers=it.bearer) as client:
        answer = (await client.post("/mcp", json=CALL)).json()
    assert "error" in answer or answer["result"]["isError"]
