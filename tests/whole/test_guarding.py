"""Guards as a file names them, before the demo's models and tools."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.demo.app import demo_app
from gateway.types import Receive, Scope, Send
from tests.guards.apps import GITHUB
from tests.whole.running import POLICIES, Whole, served, until, whole

CARD = "4111 1111 1111 1111"


@asynccontextmanager
async def guarded(folder: Path, guard: str, *, more: str = "") -> AsyncIterator[Whole]:
    async with served(demo_app(folder)) as behind:
        text = (
            f"store: 'memory:'\n{POLICIES.rstrip()[:-1]}, guard: {{{guard}}}}}\n"
            f"telemetry: {{log: 'off', audit: {{file: audit.jsonl}}}}\n{more}\nroutes:\n"
            f"- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}\n"
            f"- {{path: /mcp, mcp: {{servers: {{files: {{url: '{behind}/filesystem'}}}}}}}}\n"
        )
        async with whole(text, folder=folder) as running:
            yield running


async def say(gateway: Whole, text: str, **more: Any) -> httpx.Response:
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
    async with httpx.AsyncClient(headers=gateway.bearer) as client:
        return await client.post(f"{gateway.url}/v1/messages", json=body)


async def rpc(gateway: Whole, method: str, **params: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with httpx.AsyncClient(headers=gateway.bearer) as client:
        reply = await client.post(f"{gateway.url}/mcp", json=message)
    result: dict[str, Any] = reply.json()["result"]
    return result


async def call(gateway: Whole, tool: str, **arguments: Any) -> dict[str, Any]:
    return await rpc(gateway, "tools/call", name=tool, arguments=arguments)


async def audited(folder: Path, count: int) -> list[dict[str, Any]]:
    lines: list[bytes] = []

    async def there() -> bool:
        nonlocal lines
        file = folder / "audit.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return len(lines) >= count

    await until(there)
    return [orjson.loads(line) for line in lines]


async def test_prompts_are_refused_and_answers_masked_whole_and_streamed(tmp_path: Path) -> None:
    rules = (
        "request: [{regex: '(?i)project falcon', action: REJECT}], response: [{scanner: pii, action: mask}]"
    )
    async with guarded(tmp_path, rules) as gateway:
        refused = await say(gateway, "tell me about Project Falcon")
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
        for more in ({}, {"stream": True}):
            answer = await say(gateway, f"charge {CARD} now", **more)
            assert answer.status_code == 200
            assert CARD not in answer.text
            assert "[[pii:" in "".join(answer.text.split('"text":"'))
        lines = await audited(tmp_path, 3)
    assert [line["outcome"] for line in lines] == ["refused", "ok", "ok"]
    assert [{verdict["action"] for verdict in line["verdicts"]} for line in lines] == [
        {"refuse"},
        {"mask"},
        {"mask"},
    ]


async def test_a_masked_secret_comes_back_to_who_sent_it(tmp_path: Path) -> None:
    async with guarded(tmp_path, "request: [{scanner: secrets, action: mask}], key: shared") as gateway:
        for more in ({}, {"stream": True}):
            answer = await say(gateway, f"my key is {GITHUB} ok", **more)
            assert "[[secrets:" not in answer.text
        assert GITHUB in (await say(gateway, f"my key is {GITHUB} ok")).json()["content"][0]["text"]


async def test_tools_are_guarded_on_the_way_in_and_out(tmp_path: Path) -> None:
    rules = "discovery: [prompt_injection, tool_poisoning, secrets_in_description], " \
            "invocation: [path_traversal, sql_injection, command_injection, pii_in_arguments], " \
            "result: [{scanner: secrets, action: mask}]"  # fmt: skip
    async with guarded(tmp_path, rules) as gateway:
        names = {tool["name"] for tool in (await rpc(gateway, "tools/list"))["tools"]}
        assert names == {"read_file", "write_file", "list_directory", "search", "delete_file"}
        refused = await call(gateway, "read_file", path="../../etc/passwd")
        assert refused["isError"] is True
        assert "path_traversal" in refused["content"][0]["text"]
        wrote = await call(gateway, "write_file", path="notes.txt", content=f"token {GITHUB}")
        assert wrote["isError"] is False
        read = await call(gateway, "read_file", path="notes.txt")
        assert read["content"][0]["text"].startswith("token [[secrets:")
        lines = await audited(tmp_path, 4)
    blocked = next(line for line in lines if line["outcome"] == "refused")
    assert blocked["arguments"] == {"path": "../../etc/passwd"}
    assert GITHUB not in orjson.dumps(lines).decode()


async def test_observing_lets_everything_pass_and_the_audit_says_what_would_have_been(tmp_path: Path) -> None:
    rules = "enforce: false, request: [{regex: falcon, action: reject}, {scanner: secrets, action: mask}], invocation: [path_traversal]"
    async with guarded(tmp_path, rules) as gateway:
        answer = await say(gateway, f"falcon {GITHUB}")
        assert answer.json()["content"][0]["text"] == f"You said: falcon {GITHUB}"
        # The tool's own word.
        assert "sandbox" in (await call(gateway, "read_file", path="../x"))["content"][0]["text"]
        lines = await audited(tmp_path, 2)
    assert {verdict["action"] for line in lines for verdict in line["verdicts"]} == {"would_refuse"}


async def test_plug_ins_stand_beside_the_file_and_elsewhere(tmp_path: Path) -> None:
    async def hook(scope: Scope, receive: Receive, send: Send) -> None:
        asked = orjson.loads((await receive())["body"])["body"]["messages"][-1]["content"]
        reply = (
            {"action": {"body": "no fish here", "status_code": 451}}
            if "fish" in asked
            else {"action": {"reason": "ok"}}
        )
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(reply)})

    (tmp_path / "judge_of_birds.py").write_text(
        "def judge(texts, phase):\n    return any('bird' in text for text in texts)\n"
    )
    async with served(hook) as where:
        rules = (
            f"request: [{{python: 'judge_of_birds:judge', name: birds}}, {{webhook: '{where}', timeout: 5s}}]"
        )
        async with guarded(tmp_path, rules) as gateway:
            assert (await say(gateway, "hello")).status_code == 200
            assert "'birds'" in (await say(gateway, "a bird")).json()["error"]["message"]
            fish = await say(gateway, "a fish")
            assert (fish.status_code, fish.json()["error"]["message"]) == (451, "no fish here")


@pytest.mark.parametrize(("outcome", "status"), [("reject", 403), ("pass", 200)])
async def test_a_judge_that_is_not_there_has_the_decided_outcome(
    tmp_path: Path, outcome: str, status: int
) -> None:
    async with guarded(
        tmp_path, f"request: [{{webhook: 'http://127.0.0.1:9', on_failure: {outcome}}}]"
    ) as gateway:
        assert (await say(gateway, "hello")).status_code == status
