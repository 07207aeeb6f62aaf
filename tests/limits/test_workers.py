"""Two gateways on one machine, as a user starts them, with one SQLite file between them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from gateway.demo.app import demo_app
from tests.whole.process import serving
from tests.whole.running import KEY, POLICIES, served

ASKED = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def command(folder: Path, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", "gateway.yaml"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ended.stdout


async def test_they_share_limits_and_ledger(tmp_path: Path) -> None:
    async with served(demo_app(tmp_path)) as behind:
        (tmp_path / "gateway.yaml").write_text(
            "store: sqlite:///gateway.db?retention=30d\ntelemetry: {log: 'off'}\n"
            "listen: {port: 0, metrics: 0, admin: 0}\n" + POLICIES[:-2] + ",\n"
            "  ratelimit: {limits: [{requests: 5, per: 1h, key: principal.id, name: five an hour}]}}\n"
            f"routes: [{{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}]\n"
        )
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as one,
            serving("--config", "gateway.yaml", cwd=tmp_path) as other,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            said = [
                (await client.post(url + "/v1/messages", json=ASKED, headers={"x-api-key": KEY})).status_code
                for url in (one.url, other.url) * 4
            ]
            assert said == [200] * 5 + [429] * 3
            for process in (one, other):
                process.stop()
                assert await process.ended() == 0
    assert "five an hour: 5 of 5" in command(tmp_path, "limits")
    used = command(tmp_path, "usage", "--by", "outcome", "--csv").splitlines()[1:]
    assert [line.split(",")[:2] for line in used] == [["ok", "5"], ["refused", "3"]]
    assert "ready" in command(tmp_path, "store", "check")
