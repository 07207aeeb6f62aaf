import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.call import Attribution, Call, Operation, Principal
from gateway.errors import StoreError
from gateway.middleware.authz import AuthzMiddleware
from gateway.policy import switches
from gateway.policy.authorization import Authorization
from gateway.policy.switches import Kind, Switch, Switches
from gateway.stores import open_store
from gateway.stores.memory import MemoryStore
from gateway.types import Receive, Scope, Send
from tests.driver import Driver
from tests.identity.issuer import Clock

ROOT = Path(__file__).parents[2]
KEY = Principal("key:k1", "key", name="ada", key={"id": "k1"})
TOOL = Operation("mcp", "tools/call", subject="tool", server="fs", name="write", exposed="fs_write")
MODEL = Operation("llm", "messages", model="claude-opus-5")


def call(**facts: Any) -> Call:
    return Call("r", time.time(), 0, **{"path": "/", "principal": KEY, "route": "/mcp", **facts})


async def thrown(*off: Switch, clock: Any = time.time) -> Switches:
    store = MemoryStore(clock=clock)
    for switch in off:
        await switches.throw(store, switch)
    found = Switches(store, clock=clock)
    await found.fresh()
    return found


@pytest.mark.parametrize(
    ("kind", "name", "operation"),
    [
        ("key", "k1", MODEL), ("key", "k1", TOOL), ("user", "ada", MODEL), ("user", "ada@example.com", TOOL),
        ("model", "claude-opus-5", MODEL), ("tool", "write", TOOL), ("tool", "fs_write", TOOL), ("server", "fs", TOOL),
        ("route", "/mcp", MODEL),
    ],
)  # fmt: skip
async def test_each_kind_of_switch_stops_what_it_names_and_nothing_else(
    kind: Kind, name: str, operation: Operation
) -> None:
    one = call(attribution=Attribution(user="ada@example.com"))
    policy = Authorization(switches=await thrown(Switch(kind, name, "incident 7")))
    refusal = policy.decide(one, operation)
    assert refusal is not None
    assert (refusal.status, refusal.policy, refusal.rule) == (403, "kill", f"{kind}:{name}")
    assert "incident 7" in refusal.message
    assert one.verdicts[0].policy == "kill"
    assert Authorization(switches=await thrown(Switch(kind, "other"))).decide(one, operation) is None


async def test_a_removed_server_goes_dark_in_lists_at_once() -> None:
    policy = Authorization(switches=await thrown(Switch("server", "fs")))
    listed = Operation("mcp", "tools/list", subject="tool", server="fs", name="write", exposed="fs_write")
    assert policy.decide(call(), listed) is not None
    assert policy.decide(call(), Operation("mcp", "tools/list")) is None


async def test_a_switch_ends_by_itself() -> None:
    clock = Clock()
    found = await thrown(Switch("model", "claude-opus-5", until=clock.now + 60), clock=clock)
    assert found.refusal(call(), MODEL) is not None
    clock.now += 61
    await found.fresh()
    assert found.refusal(call(), MODEL) is None


async def test_observing_does_not_switch_the_kill_switch_off() -> None:
    policy = Authorization(switches=await thrown(Switch("key", "k1")), enforce=False)
    assert policy.decide(call(), MODEL) is not None


class Failing(MemoryStore):
    broken = False

    async def list(self, *args: Any, **options: Any) -> Any:
        if self.broken:
            raise StoreError("down")
        return await super().list(*args, **options)


async def test_a_store_that_cannot_be_read_closes_the_gateway_after_the_grace_time() -> None:
    clock, store = Clock(), Failing()
    found = Switches(store, clock=clock, grace=10)
    await found.fresh()
    store.broken = True
    for seconds, closed in ((5, False), (5, False), (5, True), (100, True)):
        clock.now += seconds
        await found.fresh()
        refusal = found.refusal(call(), MODEL)
        assert (refusal is not None and refusal.status == 503) is closed
    store.broken = False
    clock.now += 2
    await found.fresh()
    assert found.refusal(call(), MODEL) is None


async def test_a_store_that_hangs_holds_nobody_up_and_closes_the_gateway() -> None:
    class Hanging(MemoryStore):
        async def list(self, *args: Any, **options: Any) -> Any:
            await asyncio.Event().wait()

    found = Switches(Hanging(), patience=0.01)
    async with asyncio.timeout(5):
        await found.fresh()
    refusal = found.refusal(call(), MODEL)
    assert refusal is not None
    assert refusal.status == 503


async def test_an_instance_that_was_frozen_reads_before_its_first_call() -> None:
    clock, store = Clock(), MemoryStore()
    app = AuthzMiddleware(done, switches=Switches(store, clock=clock))
    assert (await Driver(app).get("/")).status == 200
    await switches.throw(store, Switch("user", "anonymous"))
    clock.now += 3600
    assert (await Driver(app).get("/")).status == 403


async def done(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_many_switches_are_all_read() -> None:
    found = await thrown(*[Switch("user", f"user-{n:05}") for n in range(2500)])
    assert len(found.off) == 2500


@asynccontextmanager
async def served(store_url: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.policy.served", store_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def test_row_42_a_switch_stops_new_calls_and_running_streams_in_every_process_within_a_second(tmp_path: Path) -> None:  # fmt: skip
    url = f"sqlite:///{tmp_path}/gateway.db"
    store = open_store(url)
    ada, bob = {"x-api-key": "sk-ada"}, {"x-api-key": "sk-bob"}
    try:
        async with served(url) as one, served(url) as two, httpx.AsyncClient(timeout=20) as client:
            running = [
                client.stream("POST", f"{base}/v1/messages", headers=ada, json={"model": "m"})
                for base in (one, two)
            ]
            bobs = client.stream("POST", f"{one}/v1/messages", headers=bob, json={"model": "m"})
            async with running[0] as first, running[1] as second, bobs as other:
                streams = [response.aiter_text() for response in (first, second)]
                others = other.aiter_text()
                for stream in (*streams, others):
                    assert "tick" in await anext(stream)
                await switches.throw(store, Switch("user", "ada", "incident 7"))
                at = time.monotonic()
                ends = await asyncio.gather(*[_end(stream) for stream in streams])
                assert all("incident 7" in last for last, _ in ends)
                assert max(when for _, when in ends) - at < 1.0
                for base in (one, two):
                    for headers, status in ((ada, 403), (bob, 200)):
                        reply = await client.post(f"{base}/v1/other", headers=headers, json={"model": "m"})
                        assert reply.status_code == status
                assert "tick" in await anext(others)
                await switches.restore(store, "user", "ada")
                async with asyncio.timeout(2):
                    while (
                        await client.post(f"{one}/v1/other", headers=ada, json={"model": "m"})
                    ).status_code != 200:
                        assert "tick" in await anext(others)
    finally:
        await store.close()


async def _end(stream: AsyncIterator[str]) -> tuple[str, float]:
    told = [text async for text in stream]
    return told[-1], time.monotonic()
