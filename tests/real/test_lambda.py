"""The built package, with the source tree off the path, under AWS's own emulator and under the streaming loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config import tree
from gateway.stores.dynamodb import table
from gateway.types import Receive, Scope, Send
from scripts.lambda_coldstart import measured
from scripts.lambda_demo import demo
from scripts.lambda_emulator import ROOT, TOOLS, Environment, emulated
from tests.deploy.runtime_api import RuntimeApi, runtime_api
from tests.real.engine import Engine
from tests.real.lambda_package import built
from tests.whole.running import served

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
AARCH64 = 183  # ELF's e_machine
ROLE = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": "gateway"}  # fmt: skip
CONFIGURATION = """
store: "{store}"
policies:
  auth: {{keys: [{{key: gw-event-key, id: event, owner: you@example.com}}]}}
  ratelimit:
    limits:
      - {{requests: 100000, per: 60s, key: principal.id}}
    budgets: [{{usd: 1000, per: day, key: principal.id, name: money}}]
routes:
- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: "{upstream}"}}}}}}}}
- {{path: /mcp, mcp: {{servers: {{math: {{url: "{upstream}/math"}}}}}}}}
telemetry: {{log: "off"}}
"""


def event(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("x86"), "Buffered", architecture="x86_64") / "Buffered"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Engine(tmp_path_factory.mktemp("dynoxide") / "data.db") as engine:
        dynamodb = table.connect("eu-west-1", engine.url, credentials=("test", "test"))
        table.create(dynamodb, "gateway")
        dynamodb.close()
        yield f"dynamodb://gateway?region=eu-west-1&endpoint={engine.url}&timeout=5"


@pytest.fixture(scope="module")
def environment(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("configured")
    with demo(folder) as upstream:
        (folder / "gateway.yaml").write_text(CONFIGURATION.format(store=store, upstream=upstream))
        yield {**ROLE, "GATEWAY_CONFIG": str(folder / "gateway.yaml")}


@pytest.fixture(scope="module")
def emulator(package: Path, environment: dict[str, str]) -> Iterator[Environment]:
    with emulated(package, env=environment) as running:
        yield running


def test_the_default_build_holds_wheels_for_arm_only(tmp_path: Path) -> None:
    package = built(tmp_path, "Buffered") / "Buffered"
    machines = {struct.unpack("<H", each.read_bytes()[18:20])[0] for each in package.rglob("*.so*")}
    assert machines == {AARCH64}
    tags = [line for wheel in package.rglob("WHEEL") for line in wheel.read_text().splitlines() if line.startswith("Tag:")]  # fmt: skip
    assert tags
    assert [tag for tag in tags if not tag.endswith(("aarch64", "-any"))] == []


def test_the_package_is_small_and_compiled(package: Path) -> None:
    files = [each for each in package.rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in files) < 60_000_000
    brought = {"boto3", "botocore", "cel_expr_python"}  # the managed runtime has the first two
    assert not brought & {each.name for each in package.iterdir()}
    # In a read-only folder every start would compile it anew.
    for each in (package / "gateway").rglob("*.py"):
        assert (each.parent / "__pycache__" / f"{each.stem}.cpython-311.pyc").exists()
    file = package / "gateway.yaml"
    assert tree.kept(file, file.read_text()) is not None


@pytest.mark.parametrize("name", ["http-api-chat", "alb-chat"])
def test_a_model_answers(emulator: Environment, name: str) -> None:
    answer = emulator.invoke(event(name))
    assert answer["statusCode"] == 200, answer
    assert "hello from Lambda" in json.loads(answer["body"])["content"][0]["text"]


def test_a_tool_is_called(emulator: Environment) -> None:
    answer = emulator.invoke(event("rest-api-mcp"))
    assert answer["statusCode"] == 200, answer
    assert "714" in answer["body"]


def test_nobody_is_refused(emulator: Environment) -> None:
    assert emulator.invoke(event("http-api-unauthenticated"))["statusCode"] == 401


def told(environment: dict[str, str], *words: str) -> Any:
    """What a command says of the store that the function writes to."""
    program = Path(sys.executable).with_name("gateway")
    done = subprocess.run([program, *words, "--config", environment["GATEWAY_CONFIG"], "--json"], env={**os.environ, **environment},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spent(environment: dict[str, str]) -> tuple[int, float, float]:
    """Calls and dollars in the ledger, dollars taken from the budget."""
    [row] = told(environment, "usage", "--by", "user")
    [budget] = [each for each in told(environment, "limits") if each["limit"] == "money"]
    return row["calls"], row["usd"], budget["used"]


def test_what_was_used_is_written_down_and_settled_when_the_answer_ends(
    emulator: Environment, environment: dict[str, str]
) -> None:
    assert emulator.invoke(event("http-api-chat"))["statusCode"] == 200
    calls, usd, taken = spent(environment)
    assert emulator.invoke(event("http-api-chat"))["statusCode"] == 200
    more_calls, more_usd, more_taken = spent(environment)
    assert more_calls == calls + 1
    assert more_usd > usd
    assert more_taken == pytest.approx(more_usd, abs=1e-4)  # nothing is reserved any more
    assert taken == pytest.approx(usd, abs=1e-4)


def test_a_thousand_warm_invocations_leave_memory_as_it_was(emulator: Environment) -> None:
    asked = event("http-api-chat")
    for _ in range(150):
        emulator.invoke(asked)
    before = resident(emulator)
    statuses = {emulator.invoke(asked)["statusCode"] for _ in range(1000)}
    assert statuses == {200}
    assert resident(emulator) - before < 3_000_000


def resident(running: Environment) -> int:
    """Of the Python that the emulator has started."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    found = children or [
        each.parent.name for each in Path("/proc").glob("[0-9]*/status")
        if f"PPid:\t{running.process.pid}\n" in _status(each)
    ]  # fmt: skip
    [child] = found
    pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _status(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""


def test_the_first_answer_comes_nearly_as_soon_as_a_bare_apps(package: Path) -> None:
    """By processor time, the least of a few in turn: other work on the machine only ever adds."""
    found = measured(package, 5, event("http-api-unauthenticated"))
    least = {name: min(each.cpu for each in starts) for name, starts in found.items()}
    assert set(least) == {"bare", "shipped", "with JWT", "with CEL"}
    assert least["shipped"] <= 1.35 * least["bare"]


class Telling:
    """A model that says its next word when the test lets it."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = asyncio.ensure_future(receive())
        while True:
            next_word = asyncio.ensure_future(self.words.get())
            await asyncio.wait({left, next_word}, return_when=asyncio.FIRST_COMPLETED)
            word = next_word.result() if next_word.done() else None
            next_word.cancel()
            await send({"type": "http.response.body", "body": word or b"", "more_body": word is not None})
            if word is None:
                left.cancel()
                return


def frame(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-demo", "content": [],
           "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
BEGINNING = frame("message_start", message=MESSAGE) + frame("content_block_start", index=0, content_block={"type": "text", "text": ""})  # fmt: skip
ENDING = (frame("content_block_stop", index=0)
          + frame("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 3})
          + frame("message_stop"))  # fmt: skip


def said(word: str) -> bytes:
    return frame("content_block_delta", index=0, delta={"type": "text_delta", "text": word})


@asynccontextmanager
async def streaming(
    package: Path, api: RuntimeApi, model: Telling, store: str, folder: Path
) -> AsyncIterator[None]:
    """The package's own exec wrapper, as the function's bootstrap runs it."""
    async with served(model) as upstream:
        (folder / "gateway.yaml").write_text(CONFIGURATION.format(store=store, upstream=upstream))
        env = {**ROLE, "GATEWAY_CONFIG": str(folder / "gateway.yaml"), "PYTHONPATH": str(package),
               "PATH": f"{TOOLS}/ric/bin:{os.environ['PATH']}", "AWS_LAMBDA_RUNTIME_API": api.address,
               "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/stream"}  # fmt: skip
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(package / "stream", cwd=package, env=env, stdout=log, stderr=log)  # fmt: skip
        try:
            yield
        finally:
            process.kill()
            await process.wait()


async def test_events_leave_as_they_are_made(package: Path, store: str, tmp_path: Path) -> None:
    model = Telling()
    async with (
        runtime_api(event("function-url-stream")) as api,
        streaming(package, api, model, store, tmp_path),
    ):
        model.words.put_nowait(BEGINNING)
        for word in ("one", "two", "three"):
            model.words.put_nowait(said(word))
            await api.until(word.encode())  # the next is made only when this has left
        model.words.put_nowait(ENDING)
        model.words.put_nowait(None)
        await api.until(b"message_stop")
        await api.until_asked(2)
        [posted] = api.posted
    assert posted.prelude["statusCode"] == 200
    assert posted.prelude["headers"]["content-type"].startswith("text/event-stream")
    assert posted.trailers == {}


async def test_near_the_deadline_a_stream_ends_with_an_error_event(
    package: Path, store: str, tmp_path: Path
) -> None:
    model = Telling()
    model.words.put_nowait(BEGINNING + said("and so on"))
    started = time.time()
    async with runtime_api(event("function-url-stream"), deadline=started + 7) as api:
        async with streaming(package, api, model, store, tmp_path):
            await api.until(b"event: error")
            await api.until_asked(2)
        [posted] = api.posted
    assert time.time() < started + 7
    assert b"the function's time is nearly over" in posted.streamed
    assert b"message_stop" not in posted.streamed
    assert posted.trailers == {}
