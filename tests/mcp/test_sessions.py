"""The life of a legacy session."""

from __future__ import annotations

from tests.driver import Driver
from tests.mcp.clients import Legacy, federation
from tests.mcp.servers import Scripted, tool


async def test_a_session_that_its_client_has_ended_is_no_session_and_ends_at_its_servers() -> None:
    server = Scripted([tool("t")], modern=False)
    async with federation({"s": server}) as app:
        client = await Legacy(app).begin()
        assert len(server.open) == 2
        ended = await Driver(app).request("DELETE", "/mcp", headers={"mcp-session-id": client.session})
        assert ended.status == 200
        assert len(server.open) == 1
        assert (await client.send("tools/list")).status == 404
        assert (await client.send("ping")).status == 404


async def test_a_session_that_a_server_forgot_is_begun_again_once() -> None:
    server = Scripted([tool("t")], modern=False)
    async with federation({"s": server}) as app:
        client = await Legacy(app).begin()
        await client.call("t")
        server.open.clear()
        assert (await client.call("t", {"a": 1}))["content"][0]["text"] == '{"a": 1}'
        before = len(server.calls("initialize"))
        await client.call("t")
        assert len(server.calls("initialize")) == before
