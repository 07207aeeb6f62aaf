"""MCP's OAuth flow against a real OpenID provider, with the clients that people use: nothing is known to them but the URL."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from gateway.app import Gateway
from gateway.call import Call
from gateway.cli import listening
from gateway.cli.serve import url
from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.demo import math
from gateway.identity import jwt
from gateway.identity.upstream import ClientCredentials
from gateway.types import Receive, Scope, Send
from tests.real.programs import ROOT, TOOLS
from tests.whole.running import served

pytestmark = pytest.mark.real
REMOTE = TOOLS / "oauth/node_modules/mcp-remote/dist/proxy.js"

FILE = """
public_url: {public}
telemetry: {{log: 'off'}}
routes:
- path: /mcp
  mcp: {{servers: {{math: {{url: '{upstream}/mcp'}}}}}}
  policies:
    auth:
      jwt: [{{issuer: '{issuer}'}}]
      resource: {{scopes: [mcp]}}
    authz: {{scopes: {{multiply: [files:write]}}, require: ['jwt.sub == "ada"']}}
"""


@asynccontextmanager
async def provider(resource: str) -> AsyncIterator[str]:
    assert (TOOLS / "oauth/node_modules/oidc-provider").exists(), "run scripts/install-tools"
    process = await asyncio.create_subprocess_exec(
        "node", str(ROOT / "tests/real/oidc_provider.mjs"), resource, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    finally:
        process.kill()
        await process.wait()


class Watched:
    """The upstream, and every header it was shown."""

    def __init__(self) -> None:
        self.app = math.app()
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        await self.app(scope, receive, send)


class Place:
    def __init__(self, public: str, issuer: str, upstream: Watched) -> None:
        self.public, self.issuer, self.upstream = public, issuer, upstream

    @property
    def mcp(self) -> str:
        return f"{self.public}/mcp"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    listened, started, upstream, resources = (
        listening.bind("127.0.0.1", 0),
        asyncio.Event(),
        Watched(),
        Resources(),
    )
    public = url(listened)
    async with provider(f"{public}/mcp") as issuer, served(upstream) as behind:
        text = FILE.format(public=public, issuer=issuer, upstream=behind)
        gateway = Gateway(build(loads(text, source="gateway.yaml", folder=Path(), env={}), resources))
        server = listening.server(gateway, grace=1, ready=started.set)
        task = asyncio.create_task(server.serve([listened]))
        await started.wait()
        try:
            yield Place(public, issuer, upstream)
        finally:
            server.should_exit = server.force_exit = True
            await task
            await gateway.close()
            await resources.close()


class Stored:
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def approve(authorize: str, *, redirect: str) -> dict[str, str]:
    """What a browser does: follow every redirect until it leads back to the client."""
    async with httpx.AsyncClient() as browser:
        where = authorize
        for _ in range(10):
            reply = await browser.get(where)
            assert reply.is_redirect, reply.text
            where = str(httpx.URL(where).join(reply.headers["location"]))
            if where.startswith(redirect):
                return {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
    raise AssertionError(f"never came back to {redirect}")


@asynccontextmanager
async def session(place: Place, stored: Stored) -> AsyncIterator[ClientSession]:
    redirect, came_back = "http://127.0.0.1:9/callback", {}

    async def visit(authorize: str) -> None:
        came_back.clear()
        came_back.update(await approve(authorize, redirect=redirect))
        assert "code" in came_back, came_back

    async def answer() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=came_back["code"], state=came_back.get("state"), iss=came_back.get("iss")
        )

    about = OAuthClientMetadata(
        client_name="test", redirect_uris=[redirect], token_endpoint_auth_method="none"
    )  # type: ignore[list-item]
    auth = OAuthClientProvider(place.mcp, about, stored, visit, answer)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(auth=auth))
        read, write, *_ = await stack.enter_async_context(
            streamable_http_client(place.mcp, http_client=client)
        )
        opened = await stack.enter_async_context(ClientSession(read, write))
        await opened.initialize()
        yield opened


async def test_the_python_sdk_completes_the_flow_with_nothing_but_the_url(place: Place) -> None:
    stored = Stored()
    async with session(place, stored) as client:
        tools = await client.list_tools()
        assert {tool.name for tool in tools.tools} >= {"add", "multiply"}
        result: Any = await client.call_tool("add", {"a": 2, "b": 3})
        assert "5" in result.content[0].text
    assert stored.tokens is not None
    claims = jwt.parse(stored.tokens.access_token).claims
    assert (claims["aud"], claims["sub"], claims["iss"]) == (place.mcp, "ada", place.issuer)
    shown = json.dumps(place.upstream.headers)
    assert stored.tokens.access_token not in shown
    assert "authorization" not in shown


async def test_the_python_sdk_steps_up_when_a_tool_needs_another_scope(place: Place) -> None:
    stored = Stored()
    async with session(place, stored) as client:
        await client.list_tools()
        assert stored.tokens is not None
        assert jwt.parse(stored.tokens.access_token).claims["scope"] == "mcp"
        result: Any = await client.call_tool("multiply", {"a": 2, "b": 3})
        assert "6" in result.content[0].text
        assert "files:write" in jwt.parse(stored.tokens.access_token).claims["scope"].split()


@asynccontextmanager
async def mcp_remote(place: Place, home: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        "node", str(REMOTE), place.mcp, "--allow-http", "--transport", "http-only", *options, cwd=home,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/nowhere:" + os.environ["PATH"], "HOME": str(home), "MCP_REMOTE_CONFIG_DIR": str(home / "auth")},
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        os.killpg(process.pid, 9)
        await process.wait()


async def add(process: asyncio.subprocess.Process, *, browse: bool) -> str:
    """Begin a session through it and call a tool."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(_line(1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}))  # fmt: skip
    if browse:
        await _browse(process.stderr)
    begun = json.loads(await process.stdout.readline())
    assert begun["result"]["protocolVersion"] == "2025-11-25"
    process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    process.stdin.write(_line(2, "tools/call", name="add", arguments={"a": 20, "b": 22}))
    return str(json.loads(await process.stdout.readline())["result"]["content"][0]["text"])


async def test_mcp_remote_completes_the_flow(place: Place, tmp_path: Path) -> None:
    async with mcp_remote(place, tmp_path) as process:
        assert "42" in await add(process, browse=True)


async def test_mcp_remote_takes_a_token_in_a_header(place: Place, tmp_path: Path) -> None:
    stored = Stored()
    async with session(place, stored):
        pass
    assert stored.tokens is not None
    async with mcp_remote(
        place, tmp_path, "--header", f"Authorization:Bearer {stored.tokens.access_token}"
    ) as process:
        assert "42" in await add(process, browse=False)


def _line(ident: int, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": ident, "method": method, "params": params}).encode() + b"\n"


async def _browse(errors: asyncio.StreamReader) -> None:
    """Visit the address that it asks its user to visit."""
    while text := (await errors.readline()).decode():
        if text.strip().startswith("http://127.0.0.1") and "client_id=" in text:
            async with httpx.AsyncClient(follow_redirects=True) as browser:
                assert (await browser.get(text.strip())).status_code == 200
            return
    raise AssertionError("mcp-remote asked for no authorization")


async def test_the_gateways_own_client_credentials_come_from_the_same_provider(place: Place) -> None:
    upstream = ClientCredentials(token_url=f"{place.issuer}/token", client_id="gateway", client_secret="gateway-secret",
                                 scopes=["mcp", "files:write"], agent_scopes={"claude-code": ["mcp"]})  # fmt: skip
    call = Call("r", 0.0, 0, "/mcp")
    ((name, value),) = await upstream.headers(call)
    assert name == b"authorization"
    assert jwt.parse(value.decode().removeprefix("Bearer ")).claims["scope"] == "mcp files:write"


async def test_a_token_for_another_resource_of_the_same_provider_is_refused(place: Place) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip
    said = []
    async with httpx.AsyncClient(auth=("gateway", "gateway-secret")) as client:
        for resource in (place.mcp, f"{place.public}/other"):
            form = {"grant_type": "client_credentials", "scope": "mcp", "resource": resource}
            token = (await client.post(f"{place.issuer}/token", data=form)).json()["access_token"]
            shown = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
            reply = await client.post(place.mcp, json=body, headers=shown, auth=None)
            said.append((reply.status_code, "invalid_token" in reply.headers.get("www-authenticate", "")))
    # The first is recognised, and refused by a rule: it is not ada's.
    assert said == [(403, False), (401, True)]
