"""The examples as a user has them: the folder's own file, served with stand-ins for what is not here."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.demo.app import demo_app
from gateway.identity import keys, mint
from tests.whole.running import Whole, served, whole

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class Example:
    running: Whole
    client: httpx.AsyncClient
    folder: Path
    private: bytes
    key: str

    def token(self, issuer: str, audience: str, **claims: Any) -> str:
        facts = {"iss": issuer, "aud": audience, "sub": "you", **claims}
        return mint.token(facts, key=self.private, at=time.time(), lifetime=60)

    async def ask(self, path: str, body: Any, token: str = "", **headers: str) -> httpx.Response:
        shown = {"authorization": f"Bearer {token or self.key}"} if token != "none" else {}
        return await self.client.post(path, json=body, headers={**shown, **headers})

    async def rpc(
        self,
        path: str,
        method: str,
        token: str = "",
        /,
        *,
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        reply = await self.ask(path, message, token, **(headers or {}))
        return reply.json()

    async def tools(self, path: str, token: str = "", **headers: str) -> list[str]:
        answer = await self.rpc(path, "tools/list", token, headers=headers)
        return [tool["name"] for tool in answer["result"]["tools"]]


@asynccontextmanager
async def example(number: int, tmp_path: Path, **env: str) -> AsyncIterator[Example]:
    """Behind it the demo app: {demo} in the environment's values is its address."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLES / f"seed-{number}", folder)
    private, public = mint.pair("ES256")
    (folder / "jwt-public.pem").write_bytes(public)
    files = tmp_path / "files"
    files.mkdir()
    (files / "hello.txt").write_text("a file")
    async with served(demo_app(files)) as demo:
        given = {name: value.replace("{demo}", demo) for name, value in env.items()}
        text = (folder / "gateway.yaml").read_text()
        defaults = {
            "GATEWAY_DB": str(tmp_path / "gateway.db"),
            "STORE": "memory:",
            "AUDIT_FILE": str(tmp_path / "audit.jsonl"),
        }
        async with whole(text, folder=folder, **{**defaults, **given}) as running:
            made = keys.make(owner="ada@example.com", at=time.time())
            await keys.add(running.resources.store, made)
            async with httpx.AsyncClient(base_url=running.url) as client:
                yield Example(running, client, folder, private, made.text)
