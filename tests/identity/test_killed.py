"""A kill switch and what a whole gateway's running calls see of it."""

import asyncio
import time
from pathlib import Path

import httpx

from gateway.policy import switches
from gateway.policy.switches import Switch
from gateway.types import Receive, Scope, Send
from tests.whole.running import KEY, POLICIES, served, whole

START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"x","usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"tick"}}\n\n'


class Endless:
    """An upstream that streams until it is left."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await send({"type": "http.response.body", "body": START, "more_body": True})
        gone = asyncio.create_task(self._gone(receive))
        while not self.left.is_set():
            await send({"type": "http.response.body", "body": DELTA, "more_body": True})
            await asyncio.wait([gone], timeout=0.02)

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


async def test_row_42_a_running_stream_ends_with_the_reason_and_its_upstream_is_left_within_a_second(
    tmp_path: Path,
) -> None:
    upstream = Endless()
    async with served(upstream) as behind:
        text = (f'store: "sqlite:///{tmp_path}/gateway.db"\n' + POLICIES + "telemetry: {log: 'off'}\n"
                f"routes:\n- {{path: /, llm: {{providers: {{up: {{dialect: anthropic, base_url: '{behind}', api_key: k}}}}}}}}\n")  # fmt: skip
        async with whole(text, folder=tmp_path) as gateway, httpx.AsyncClient(timeout=20) as client:
            body = {
                "model": "claude-x",
                "max_tokens": 10,
                "stream": True,
                "messages": [{"role": "user", "content": "hi"}],
            }
            async with client.stream(
                "POST", f"{gateway.url}/v1/messages", json=body, headers={"x-api-key": KEY}
            ) as reply:
                chunks = reply.aiter_text()
                said = await anext(chunks)
                while "tick" not in said:
                    said += await anext(chunks)
                await switches.throw(gateway.resources.store, Switch("model", "claude-x", "incident 7"))
                at = time.monotonic()
                async for text in chunks:
                    said += text
            assert time.monotonic() - at < 1.2
            async with asyncio.timeout(1):
                await upstream.left.wait()
            assert "event: error" in said
            assert "incident 7" in said
            again = await client.post(f"{gateway.url}/v1/messages", json=body, headers={"x-api-key": KEY})
            assert (again.status_code, "incident 7" in again.text) == (403, True)
