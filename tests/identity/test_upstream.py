import asyncio
import time
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from gateway.call import Attribution, Call
from gateway.errors import ConfigError, Refused, UpstreamError
from gateway.identity.upstream import ClientCredentials, TokenExchange, credential_from
from tests.identity.issuer import Clock

URL = "https://idp.example.com/oauth/token"


class TokenServer:
    def __init__(self, *, life: Any = 3600, status: int = 200) -> None:
        self.life, self.status = life, status
        self.forms: list[dict[str, str]] = []
        self.basic: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        self.forms.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        self.basic.append(request.headers.get("authorization", ""))
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "invalid_client", "error_description": "secret s3cret is wrong"})  # fmt: skip
        return httpx.Response(200, json={"access_token": f"token-{len(self.forms)}", "token_type": "Bearer", "expires_in": self.life})  # fmt: skip


def caller(agent: str = "", token: str = "") -> Call:
    return Call("r", time.time(), 0, "/mcp", attribution=Attribution(agent=agent), token=token)


def credentials(server: TokenServer, clock: Clock, **options: Any) -> ClientCredentials:
    return ClientCredentials(token_url=URL, client_id="gw", client_secret="s3cret", transport=httpx.MockTransport(server),
                             clock=clock, **{"scopes": ["read"], **options})  # fmt: skip


async def test_fixed_credentials_are_sent_as_they_are() -> None:
    assert await credential_from({"bearer": "t"}).headers(caller()) == [(b"authorization", b"Bearer t")]
    assert await credential_from({"headers": {"X-Key": "k"}}).headers(caller()) == [(b"x-key", b"k")]


@pytest.mark.parametrize("section", [{}, {"bearer": "a", "passthrough": True}, {"passthrough": False}, {"basic": "x"}])  # fmt: skip
def test_a_server_has_exactly_one_kind_of_credential(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="auth:"):
        credential_from(section)


async def test_one_token_serves_many_calls_and_is_renewed_before_it_ends() -> None:
    server, clock = TokenServer(), Clock()
    upstream = credentials(server, clock)
    for _ in range(3):
        assert await upstream.headers(caller()) == [(b"authorization", b"Bearer token-1")]
    clock.now += 3545
    assert await upstream.headers(caller()) == [(b"authorization", b"Bearer token-2")]
    assert server.forms[0] == {"grant_type": "client_credentials", "scope": "read"}
    assert server.basic[0].startswith("Basic ")


async def test_a_token_is_asked_for_once_however_many_calls_wait() -> None:
    server = TokenServer()
    upstream = credentials(server, Clock())
    await asyncio.gather(*[upstream.headers(caller()) for _ in range(20)])
    assert len(server.forms) == 1


async def test_a_token_that_still_lives_serves_while_it_cannot_be_renewed() -> None:
    server, clock = TokenServer(), Clock()
    upstream = credentials(server, clock)
    await upstream.headers(caller())
    server.status = 500
    clock.now += 3550
    assert await upstream.headers(caller()) == [(b"authorization", b"Bearer token-1")]
    clock.now += 60
    with pytest.raises(UpstreamError):
        await upstream.headers(caller())


async def test_an_agents_scopes_only_narrow_the_servers() -> None:
    server = TokenServer()
    upstream = credentials(server, Clock(), scopes=["read", "write", "admin"],
                           agent_scopes={"claude-code": ["read"], "greedy": ["root", "write"], "lost": ["root"]})  # fmt: skip
    for agent in ("claude-code", "greedy", "unlisted"):
        await upstream.headers(caller(agent))
    assert [form["scope"] for form in server.forms] == ["read", "write", "read write admin"]
    with pytest.raises(Refused, match="no scope"):
        await upstream.headers(caller("lost"))


async def test_a_token_exchange_sends_the_callers_token_and_keeps_callers_apart() -> None:
    server = TokenServer()
    upstream = TokenExchange(token_url=URL, audience="https://pg", scopes=["read"], transport=httpx.MockTransport(server), clock=Clock())  # fmt: skip
    first = await upstream.headers(caller(token="ada"))
    assert await upstream.headers(caller(token="ada")) == first
    assert await upstream.headers(caller(token="bob")) != first
    assert server.forms[0]["subject_token"] == "ada"
    assert server.forms[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    with pytest.raises(Refused):
        await upstream.headers(caller())


async def test_only_passthrough_sends_the_callers_own_token() -> None:
    upstream = credential_from({"passthrough": True})
    assert await upstream.headers(caller(token="ada")) == [(b"authorization", b"Bearer ada")]
    assert await upstream.headers(caller()) == []


async def test_a_failure_names_the_endpoint_and_no_secret() -> None:
    upstream = credentials(TokenServer(status=401), Clock())
    with pytest.raises(UpstreamError, match="invalid_client") as failure:
        await upstream.headers(caller())
    assert "s3cret" not in str(failure.value) + repr(upstream) + repr(vars(upstream))


def test_secrets_go_over_https_only() -> None:
    with pytest.raises(ConfigError, match="https"):
        ClientCredentials(token_url="http://idp.example.com/token", client_id="a", client_secret="b")
