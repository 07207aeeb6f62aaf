"""Claude Code itself, as npm has it, against a whole gateway: what its contract asks for, seen from its side."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import sse
from gateway.demo.app import demo_app
from gateway.demo.model import DemoModel
from gateway.types import Receive, Scope, Send
from tests.real.mcp_programs import everything
from tests.real.programs import CLAUDE, run
from tests.whole.running import POLICIES, Whole, demo, served, whole

pytestmark = pytest.mark.real
Behave = Callable[[int, Scope, Receive, Send], Awaitable[bool]]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/hello.txt").write_text("a file for the agent")
    async with demo(tmp_path / "files") as running:
        yield running


async def claude(home: Path, url: str, key: str, prompt: str, *options: str, **env: str) -> dict[str, Any]:
    ended = await run(
        [CLAUDE, "-p", prompt, "--output-format", "json", *options],
        env={
            "HOME": str(home), "ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key, "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **env,
        },
        cwd=home,
    )  # fmt: skip
    assert ended.out, ended.err
    return json.loads(ended.out)


@pytest.mark.parametrize("route", ["", "/gemini", "/openai"])
async def test_it_talks_through_every_wire(gateway: Whole, tmp_path: Path, route: str) -> None:
    said = await claude(tmp_path, gateway.url + route, gateway.key, "hello there")
    assert said["is_error"] is False
    # Towards Gemini the client's own reminders are the last words of its user.
    assert (
        said["result"] == "You said: hello there"
        if route != "/gemini"
        else said["result"].startswith("You said: ")
    )
    assert said["usage"]["input_tokens"] > 5000


@pytest.mark.parametrize("route", ["", "/gemini"])
async def test_it_uses_its_own_tools(gateway: Whole, tmp_path: Path, route: str) -> None:
    (tmp_path / "note.txt").write_text("the note's words")
    prompt = f'call Read {{"file_path": "{tmp_path}/note.txt"}}'
    said = await claude(tmp_path, gateway.url + route, gateway.key, prompt, "--allowedTools", "Read")
    assert "the note's words" in said["result"]
    assert said["num_turns"] == 2


async def test_it_calls_mcp_tools_and_both_traces_know_of_it(gateway: Whole, tmp_path: Path) -> None:
    entry = {"type": "http", "url": gateway.url + "/mcp", "headers": {"Authorization": "Bearer ${MCP_TOKEN}"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"math": entry}}))
    said = await claude(
        tmp_path, gateway.url, gateway.key, 'call mcp__math__multiply {"a": 42, "b": 17}',
        "--mcp-config", "mcp.json", "--strict-mcp-config", "--allowedTools", "mcp__math__multiply", MCP_TOKEN=gateway.key,
    )  # fmt: skip
    assert "714" in said["result"]
    records = await gateway.records(1, tool="multiply")
    assert [(r.server, r.outcome, r.tool_use_id[:6]) for r in records] == [("math", "ok", "toolu_")]


async def test_it_starts_sub_agents_on_the_same_session(gateway: Whole, tmp_path: Path) -> None:
    task = {
        "description": "try",
        "prompt": "say something",
        "subagent_type": "general-purpose",
        "run_in_background": False,
    }
    said = await claude(tmp_path, gateway.url, gateway.key, f"call Agent {json.dumps(task)}")
    assert said["is_error"] is False
    records = await gateway.records(3, kind="llm")
    assert len({r.session for r in records}) == 1
    assert len(records) >= 3
    assert len({r.agent for r in records}) >= 2


async def test_a_tool_that_is_refused_for_its_arguments_lets_the_agent_go_on(
    gateway: Whole, tmp_path: Path
) -> None:
    entry = {
        "type": "http",
        "url": gateway.url + "/mcp/filesystem",
        "headers": {"Authorization": f"Bearer {gateway.key}"},
    }
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"files": entry}}))
    said = await claude(
        tmp_path, gateway.url, gateway.key, 'call mcp__files__read_file {"path": "../../etc/passwd"}',
        "--mcp-config", "mcp.json", "--strict-mcp-config", "--allowedTools", "mcp__files__read_file",
    )  # fmt: skip
    assert said["is_error"] is False
    assert "The tool answered" in said["result"]
    assert "root:" not in said["result"]


@asynccontextmanager
async def lab(folder: Path, section: str) -> AsyncIterator[Whole]:
    """A gateway with one MCP route: the demo's math server, and the everything-server of the Python SDK."""
    async with everything() as behind, served(demo_app(folder)) as beside:
        route = f"{{path: /lab, mcp: {{servers: {{math: {{url: '{beside}/math'}}, all: {{url: '{behind}'}}}}{section}}}"
        async with demo(folder, more=f"- {route}\n") as running:
            yield running


def offered(home: Path, gateway: Whole) -> tuple[str, ...]:
    """The options under which the lab is its only MCP server, and needs nobody's consent."""
    entry = {"type": "http", "url": gateway.url + "/lab", "headers": gateway.bearer}
    (home / "mcp.json").write_text(json.dumps({"mcpServers": {"lab": entry}}))
    allowed = "mcp__lab,ListMcpResourcesTool,ReadMcpResourceTool"
    return ("--mcp-config", "mcp.json", "--strict-mcp-config", "--allowedTools", allowed)


async def test_it_lists_resources_reads_one_and_uses_a_prompt_of_mcp_servers(tmp_path: Path) -> None:
    async with lab(tmp_path, "}") as gateway:

        async def asked(prompt: str) -> str:
            said = await claude(tmp_path, gateway.url, gateway.key, prompt, *offered(tmp_path, gateway))
            return str(said["result"])

        assert "test://static-text" in await asked('call ListMcpResourcesTool {"server": "lab"}')
        uri = {"server": "lab", "uri": "test://static-text"}
        assert "static text resource" in await asked(f"call ReadMcpResourceTool {json.dumps(uri)}")
        assert "simple prompt" in await asked("/mcp__lab__test_simple_prompt")
        records = await gateway.records(2, kind="mcp")
        assert {(r.method, r.server) for r in records} >= {("resources/read", "all"), ("prompts/get", "all")}


async def test_a_tool_that_a_rule_refuses_is_told_to_the_agent_which_goes_on(tmp_path: Path) -> None:
    rule = 'mcp.tool.name == "multiply" && mcp.tool.arguments.a > 40'
    async with lab(tmp_path, f"}}, policies: {{authz: {{deny: ['{rule}']}}}}") as gateway:
        said = await claude(tmp_path, gateway.url, gateway.key, 'call mcp__lab__multiply {"a": 42, "b": 17}',
                            *offered(tmp_path, gateway))  # fmt: skip
        assert said["is_error"] is False
        assert "Refused by authz" in said["result"]
        [record] = await gateway.records(1, tool="multiply")
        assert record.outcome == "refused"


async def test_it_finds_a_tool_by_searching_and_calls_it(tmp_path: Path) -> None:
    async with lab(tmp_path, ", disclosure: search}") as gateway:

        async def asked(prompt: str) -> str:
            said = await claude(tmp_path, gateway.url, gateway.key, prompt, *offered(tmp_path, gateway))
            return str(said["result"])

        assert "multiply" in await asked('call mcp__lab__search_tools {"query": "multiply two numbers"}')
        inner = {"name": "multiply", "arguments": {"a": 42, "b": 17}}
        assert "714" in await asked(f"call mcp__lab__call_tool {json.dumps(inner)}")
        [record] = await gateway.records(1, tool="multiply")
        assert (record.server, record.outcome, record.tool_use_id[:6]) == ("math", "ok", "toolu_")


class Faulty:
    """The demo model, but for what `behave` does: it returns whether it answered."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.model = DemoModel()
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/v1/messages"):
            self.asked += 1
            if await self.behave(self.asked, scope, receive, send):
                return
        await self.model(scope, receive, send)


async def against(faulty: Faulty, home: Path, **env: str) -> dict[str, Any]:
    async with served(faulty) as behind:
        text = f"{POLICIES}telemetry: {{log: 'off'}}\nroutes: [{{path: /, llm: {{providers: {{p: {{dialect: anthropic, base_url: '{behind}', retries: 0}}}}}}}}]"
        async with whole(text) as gateway:
            return await claude(home, gateway.url, gateway.key, "hello there", **env)


def failing(status: int, kind: str, *headers: tuple[bytes, bytes], times: int = 1) -> Behave:
    async def behave(asked: int, scope: Scope, receive: Receive, send: Send) -> bool:
        if asked > times:
            return False
        error = {"type": "error", "error": {"type": kind, "message": "not now"}}
        start = [(b"content-type", b"application/json"), *headers]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": json.dumps(error).encode()})
        return True

    return behave


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error")])
async def test_it_asks_again_after_429_and_529(tmp_path: Path, status: int, kind: str) -> None:
    faulty = Faulty(failing(status, kind, (b"retry-after", b"1")))
    said = await against(faulty, tmp_path)
    assert said["result"] == "You said: hello there"
    assert faulty.asked >= 2


async def test_a_403_is_asked_once_and_its_message_is_shown(tmp_path: Path) -> None:
    faulty = Faulty(failing(403, "permission_error", times=99))
    said = await against(faulty, tmp_path)
    assert said["is_error"]
    assert "not now" in said["result"]
    assert faulty.asked == 1


def breaking(*, error: bool) -> Behave:
    """The first streamed answer stops in its middle: with an error event, or with nothing at all."""

    async def behave(asked: int, scope: Scope, receive: Receive, send: Send) -> bool:
        if asked > 1:
            return False
        start = {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
                 "model": "claude-demo", "stop_reason": None, "stop_sequence": None,
                 "usage": {"input_tokens": 5, "output_tokens": 1}}}  # fmt: skip
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        delta = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "half an ans"},
        }
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        for event in (start, block, delta):
            frame = sse.encode(json.dumps(event).encode(), name=event["type"])
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        if not error:
            raise ConnectionResetError
        last = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        await send(
            {"type": "http.response.body", "body": sse.encode(json.dumps(last).encode(), name="error")}
        )
        return True

    return behave


@pytest.mark.parametrize("error", [True, False], ids=["an error event", "a cut"])
async def test_a_stream_that_breaks_is_never_taken_for_an_answer(tmp_path: Path, error: bool) -> None:
    faulty = Faulty(breaking(error=error))
    said = await against(faulty, tmp_path)
    assert said["result"] == "You said: hello there"
    assert faulty.asked >= 2


async def test_context_counts_tokens_without_charging_anybody(gateway: Whole, tmp_path: Path) -> None:
    said = await claude(tmp_path, gateway.url, gateway.key, "/context")
    assert "tokens" in said["result"].lower()
    records = await gateway.resources.store.records(where={"method": "count_tokens"})
    assert list(records) == []


async def test_model_discovery_finds_what_the_gateway_serves(gateway: Whole, tmp_path: Path) -> None:
    said = await claude(tmp_path, gateway.url, gateway.key, "hello", "--model", "claude-demo",
                        CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")  # fmt: skip
    assert list(said["modelUsage"]) == ["claude-demo"]
