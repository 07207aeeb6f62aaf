"""A whole gateway from a configuration file's text, served on loopback in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app import Gateway
from gateway.cli import listening
from gateway.cli.serve import url
from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.demo.app import demo_app
from gateway.metering.record import Record
from gateway.types import App

KEY = "gw-test-key-0123456789"
POLICIES = (
    f"policies: {{auth: {{keys: [{{key: {KEY}, id: tester, owner: ada@example.com, groups: [eng]}}]}}}}\n"
)


async def until(done: Callable[[], Awaitable[bool]], *, seconds: float = 10) -> None:
    """Waits for what another process or a batch does in its own time."""
    async with asyncio.timeout(seconds):
        while not await done():  # noqa: ASYNC110 - the other side has no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Any ASGI app under uvicorn; its URL."""
    started = asyncio.Event()
    sock = listening.bind("127.0.0.1", 0)
    server = listening.server(app, grace=1, ready=started.set)
    task = asyncio.create_task(server.serve([sock]))
    async with asyncio.timeout(10):
        await started.wait()
    try:
        yield url(sock)
    finally:
        server.should_exit = True
        server.force_exit = True
        await task


@dataclass
class Whole:
    url: str
    gateway: Gateway
    resources: Resources
    key: str = KEY

    async def records(self, count: int, **where: str) -> Sequence[Record]:
        """What the ledger holds, once it holds this many."""
        found: Sequence[Record] = ()

        async def there() -> bool:
            nonlocal found
            found = await self.resources.store.records(where=where)
            return len(found) >= count

        await until(there)
        return found

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@asynccontextmanager
async def whole(text: str, *, folder: Path = Path("."), **env: str) -> AsyncIterator[Whole]:
    """`text` is a configuration; `env` what its references name."""
    resources = Resources()
    gateway = Gateway(build(loads(text, source="gateway.yaml", folder=folder, env=env), resources))
    assert gateway.running.open is not None
    await gateway.running.open()
    try:
        async with served(gateway) as where:
            yield Whole(where, gateway, resources)
    finally:
        await gateway.close()
        await resources.close()


@asynccontextmanager
async def demo(folder: Path, *, more: str = "") -> AsyncIterator[Whole]:
    """The demo behind a gateway with one key: models on every wire, math and files as MCP."""
    async with served(demo_app(folder)) as behind:
        text = (
            'store: "memory:"\n' + POLICIES + "telemetry: {log: 'off'}\n"
            "routes:\n"
            f"- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}\n"
            f"- {{path: /gemini, llm: {{providers: {{demo: {{dialect: gemini, base_url: '{behind}/v1beta'}}}}}}}}\n"
            f"- {{path: /openai, llm: {{providers: {{demo: {{dialect: openai-chat, base_url: '{behind}/v1'}}}}}}}}\n"
            f"- {{path: /mcp, mcp: {{servers: {{math: {{url: '{behind}/math'}}}}}}}}\n"
            f"- {{path: /mcp/filesystem, mcp: {{servers: {{files: {{url: '{behind}/filesystem'}}}}}}}}\n"
            + more
        )
        async with whole(text, folder=folder) as running:
            yield running
