"""Budgets as Claude Code shows them: its own warnings, and its own words when the money is spent."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.demo.app import demo_app
from gateway.limits.bucket import Take
from gateway.limits.rules import period
from tests.real.programs import CLAUDE, run
from tests.whole.running import served, whole

pytestmark = pytest.mark.real
BUDGET = 100.0
ISSUER, SECRET = "https://idp.example.com", "a secret of thirty-two bytes or more"


def token() -> str:
    """Claude Code reads the headers of a gateway's limits where its token says that it is one."""
    claims = {"iss": ISSUER, "aud": "claude-gateway", "sub": "ada", "exp": time.time() + 600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def told(home: Path, spent: float) -> list[dict[str, Any]]:
    """All that Claude Code says of one turn, for a user who has spent so much of today's budget."""
    async with served(demo_app(home)) as behind:
        text = (
            "store: \"memory:\"\ntelemetry: {log: 'off'}\n" + "policies:\n"
            f"  auth: {{jwt: [{{issuer: '{ISSUER}', audiences: [claude-gateway], secret: '{SECRET}'}}]}}\n"
            f"  ratelimit: {{budgets: [{{usd: {BUDGET}, per: day, key: principal.id, name: daily}}]}}\n"
            "  usage: {prices: {'*': {input: 1, output: 1}}}\n"
            f"routes: [{{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}]\n"
        )
        async with whole(text, folder=home) as gateway:
            since = period("day", time.time())[0]
            take = Take("daily", 0.0, BUDGET, spent, since=since)
            await gateway.resources.store.take(f"principal.id=jwt:{ISSUER}#ada", [take])
            ended = await run(
                [CLAUDE, "-p", "hello there", "--output-format", "stream-json", "--verbose"],
                env={"HOME": str(home), "ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_AUTH_TOKEN": token(),
                     "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
                cwd=home,
            )  # fmt: skip
            return [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]


def limit_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (event["rate_limit_info"] for event in events if event["type"] == "rate_limit_event")
    return dict(found)


@pytest.mark.parametrize(
    ("spent", "status", "threshold"),
    [(50.0, "allowed", None), (80.0, "allowed_warning", 0.75), (97.0, "allowed_warning", 0.95)],
)
async def test_it_warns_at_three_quarters_and_just_before_the_end(
    tmp_path: Path, spent: float, status: str, threshold: float | None
) -> None:
    info = limit_of(await told(tmp_path, spent))
    assert (info["status"], info.get("surpassedThreshold")) == (status, threshold)
    assert info["resetsAt"] == pytest.approx(period("day", time.time())[1])


async def test_it_shows_the_refusal_when_the_budget_is_spent_and_does_not_ask_again(tmp_path: Path) -> None:
    events = await told(tmp_path, BUDGET)
    info = limit_of(events)
    assert (info["status"], info["memberSpendLimit"]) == ("rejected", {"period": "daily"})
    assert info["resetsAt"] == pytest.approx(period("day", time.time())[1])
    (result,) = (event for event in events if event["type"] == "result")
    assert result["is_error"] is True
    assert "daily" in result["result"]
