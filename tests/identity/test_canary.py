"""Marked secrets go in through every door; then everything that came out is searched for them."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo import math
from gateway.identity import mint
from gateway.types import Receive, Scope, Send
from tests.whole.running import served, whole

MARK = "canary"
NAMES = ("key", "unknown-key", "provider", "bearer", "client-secret", "admin", "cookie", "custom")
SECRETS = {name: f"{MARK}-{name}-0123456789-0123456789" for name in NAMES}
SIGNING = b"canary-signing-secret-0123456789-0123456789"

FILE = """
public_url: https://tools.example.com
store: "sqlite:///{folder}/gateway.db"
telemetry: {{log: json, audit: {{file: {folder}/audit.jsonl}}}}
admin: {{token: "${{ADMIN}}"}}
policies:
  auth:
    jwt: [{{issuer: idp, audiences: [gw], secret: "${{SIGNING}}"}}]
    keys: [{{key: "${{KEY}}", id: k1, owner: ada}}]
  authz: {{deny: ['llm.model == "forbidden"', 'default(request.headers["authorization"], "") == "x"']}}
  usage: {{labels: {{team: 'request.headers["x-team"]'}}}}
routes:
- path: /
  llm: {{providers: {{up: {{dialect: anthropic, base_url: '{model}', api_key: "${{PROVIDER}}"}}}}}}
- path: /mcp
  mcp: {{servers: {{math: {{url: '{tools}/mcp', auth: {{bearer: "${{BEARER}}"}}}}}}}}
- path: /broken
  mcp: {{servers: {{math: {{url: '{tools}/mcp', auth: {{client_credentials: {{token_url: 'http://127.0.0.1:9/token', client_id: me,
    client_secret: "${{CLIENT}}"}}}}}}}}}}
"""


class Upstream:
    """Answers, fails when asked to, and remembers what it was shown."""

    def __init__(self, app: Any = None) -> None:
        self.app = app
        self.shown: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.shown.append(
            json.dumps([[k.decode(), v.decode()] for k, v in scope["headers"]])
            + scope["query_string"].decode()
        )
        if self.app is not None:
            return await self.app(scope, receive, send)
        body = json.dumps({"type": "error", "error": {"type": "api_error", "message": "no"}}).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 400,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def token() -> str:
    import time

    return mint.token(
        {"iss": "idp", "aud": "gw", "sub": "ada"}, key=SIGNING, at=time.time(), lifetime=60, secret=True
    )


async def test_row_43_no_secret_comes_out_anywhere_but_where_it_belongs(
    tmp_path: Path, token: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # the client of this test, which has every secret
        caplog.set_level(logging.CRITICAL, logger=name)
    model, tools = Upstream(), Upstream(math.app())
    env = {"KEY": SECRETS["key"], "PROVIDER": SECRETS["provider"], "BEARER": SECRETS["bearer"], "CLIENT": SECRETS["client-secret"],
           "ADMIN": SECRETS["admin"], "SIGNING": SIGNING.decode()}  # fmt: skip
    out: list[str] = []
    async with (
        served(model) as model_url,
        served(tools) as tools_url,
        httpx.AsyncClient(timeout=20) as client,
    ):
        text = FILE.format(folder=tmp_path, model=model_url, tools=tools_url)
        async with whole(text, folder=tmp_path, **env) as running:
            await _every_door(client, running.url, token, out)
            async with served(running.gateway.metrics) as metrics, served(running.gateway.admin) as admin:
                out.append((await client.get(f"{metrics}/metrics")).text)
                for view in ("overview", "calls", "configuration", "limits", "switches"):
                    shown = await client.get(
                        f"{admin}/api/{view}", headers={"authorization": f"Bearer {SECRETS['admin']}"}
                    )
                    out.append(shown.text)
    out += [
        caplog.text,
        *capfd.readouterr(),
        *_written(tmp_path),
    ]
    said = "\n".join(out)
    assert "claude-canaryless" in said  # something was written at all
    leaked = [name for name, secret in SECRETS.items() if secret in said]
    assert leaked == []
    assert token not in said
    assert token.rpartition(".")[2] not in said
    assert SIGNING.decode() not in said
    _only_where_they_belong(model.shown, "provider", token)
    _only_where_they_belong(tools.shown, "bearer", token)


def _written(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.glob("*")]


def _only_where_they_belong(shown: list[str], own: str, token: str) -> None:
    assert shown
    assert all(SECRETS[own] in each for each in shown)
    for name, secret in SECRETS.items():
        if name not in (own, "custom", "cookie"):
            assert not any(secret in each for each in shown), name
    assert not any(token in each for each in shown)


async def _every_door(client: httpx.AsyncClient, url: str, token: str, out: list[str]) -> None:
    body = {"model": "claude-canaryless", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    tool = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 1, "b": 2}},
    }
    shown = [{"x-api-key": SECRETS["key"]}, {"authorization": f"Bearer {SECRETS['key']}"}, {"authorization": f"Bearer {token}"},
             {"x-goog-api-key": SECRETS["unknown-key"]}, {"authorization": f"Bearer {token}x"},
             {"authorization": f"Basic {SECRETS['unknown-key']}"}, {"x-gateway-key": SECRETS["key"], "x-gateway-user": SECRETS["custom"]}]  # fmt: skip
    for headers in shown:
        for path, sent in (("/v1/messages", body), ("/v1/messages", {**body, "model": "forbidden"}), ("/v1/chat/completions", body),
                           ("/mcp", tool), ("/broken", tool), ("/v1/messages", [1]), ("/nowhere", {})):  # fmt: skip
            reply = await client.post(
                url + path, json=sent, headers={**headers, "accept": "application/json, text/event-stream"}
            )
            out.append(reply.text + json.dumps(dict(reply.headers)))
    for query in (f"access_token={SECRETS['key']}", f"key={SECRETS['unknown-key']}", f"access_token={token}"):
        reply = await client.post(f"{url}/v1/messages?{query}", json=body)
        out.append(reply.text)
