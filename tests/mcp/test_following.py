"""A legacy client follows resources of a server that speaks only the modern era."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.mcp.following import MOST
from tests.driver import Reply
from tests.mcp.clients import META, Legacy, events, eventually, federation
from tests.mcp.servers import Asked, Scripted

NOTE = "notes:///a"


@dataclass
class Notes:
    """A modern server with resources, and who is subscribed to which of them."""

    subscribed: dict[str, Asked] = field(default_factory=dict)
    uris: tuple[str, ...] = (NOTE,)

    def server(self, **more: Any) -> Scripted:
        return Scripted(
            methods={"resources/list": self._list, "subscriptions/listen": self._listen},
            capabilities={"tools": {}, "resources": {"subscribe": True}},
            legacy=False,
            **more,
        )

    async def changed(self, uri: str) -> None:
        asked = self.subscribed[uri]
        meta = {META + "subscriptionId": asked.message["id"]}
        await asked.notify("notifications/resources/updated", {"uri": uri, "_meta": meta})

    async def _list(self, asked: Asked) -> Any:
        return {"resources": [{"uri": uri, "name": uri} for uri in self.uris]}

    async def _listen(self, asked: Asked) -> Any:
        (uri,) = asked.params["notifications"]["resourceSubscriptions"]
        meta = {META + "subscriptionId": asked.message["id"]}
        agreed = {"_meta": meta, "notifications": asked.params["notifications"]}
        await asked.notify("notifications/subscriptions/acknowledged", agreed)
        self.subscribed[uri] = asked
        try:
            await asyncio.Event().wait()
        finally:
            del self.subscribed[uri]


def heard(count: int) -> Callable[[Reply], bool]:
    return lambda reply: len(events(reply)) >= count


async def test_it_hears_on_its_own_stream_of_what_it_asked_for_before_and_after_that_was_opened() -> None:
    notes = Notes(uris=(NOTE, "notes:///b"))
    async with federation({"n": notes.server(), "o": Scripted()}) as app:
        client = await Legacy(app).begin()
        assert (await client.ask("resources/subscribe", {"uri": NOTE}))["result"] == {}
        stream = asyncio.create_task(client.get(leave_after=heard(2)))
        await eventually(lambda: NOTE in notes.subscribed)
        assert (await client.ask("resources/subscribe", {"uri": "notes:///b"}))["result"] == {}
        await eventually(lambda: "notes:///b" in notes.subscribed)
        await notes.changed(NOTE)
        await notes.changed("notes:///b")
        said = events(await asyncio.wait_for(stream, 3))
        await eventually(lambda: not notes.subscribed)  # with its stream the subscriptions end
    assert [each["method"] for each in said] == ["notifications/resources/updated"] * 2
    assert sorted(each["params"]["uri"] for each in said) == [NOTE, "notes:///b"]
    assert all(each["params"].keys() == {"uri"} for each in said)  # no subscription of the other era


@pytest.mark.parametrize("by", ["unsubscribe", "the end of its session"])
async def test_the_server_is_let_go_of_when_the_client_no_longer_follows(by: str) -> None:
    notes = Notes()
    async with federation({"n": notes.server()}) as app:
        client = await Legacy(app).begin()
        await client.ask("resources/subscribe", {"uri": NOTE})
        stream = asyncio.create_task(client.get(leave_after=heard(1)))
        await eventually(lambda: NOTE in notes.subscribed)
        if by == "unsubscribe":
            assert (await client.ask("resources/unsubscribe", {"uri": NOTE}))["result"] == {}
        else:
            await client.delete()
        await eventually(lambda: not notes.subscribed)
        stream.cancel()


async def test_what_cannot_be_followed_is_refused() -> None:
    deaf = Scripted(
        methods={"resources/list": Notes(uris=("deaf:///a",))._list},
        capabilities={"resources": {}},
        legacy=False,
    )
    many = Notes(uris=tuple(f"notes:///{n}" for n in range(MOST + 1)))
    async with federation({"n": many.server(), "d": deaf}) as app:
        client = await Legacy(app).begin()
        for uri in many.uris[:MOST]:
            assert "result" in await client.ask("resources/subscribe", {"uri": uri})
        assert (await client.ask("resources/subscribe", {"uri": many.uris[MOST]}))["error"]["code"] == -32600
        assert (await client.ask("resources/subscribe", {"uri": "deaf:///a"}))["error"]["code"] == -32601
        nobody = Legacy(app)  # without a session there is no stream that could carry it
        assert (await nobody.ask("resources/subscribe", {"uri": NOTE[:-1] + "0"}))["error"]["code"] == -32601
    async with federation({"n": Notes().server()}, streaming=False) as app:
        client = await Legacy(app).begin()
        assert (await client.ask("resources/subscribe", {"uri": NOTE}))["error"]["code"] == -32601
