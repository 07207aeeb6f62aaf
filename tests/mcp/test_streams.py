"""What happens between a request and its answer, and what servers say by themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.driver import Reply
from tests.mcp.clients import Legacy, Modern, answer, events, eventually, federation
from tests.mcp.servers import META, Asked, Scripted, text, tool


async def progressing(asked: Asked) -> Any:
    token = asked.params["_meta"]["progressToken"]
    await asked.notify("notifications/progress", {"progressToken": token, "progress": 1, "extra": [1]})
    return text(json.dumps(token))


@pytest.mark.parametrize(
    "upstream", [{"legacy": False}, {"modern": False}, {"modern": False, "sessions": False}]
)
async def test_progress_comes_under_the_clients_own_token_and_tokens_never_clash_upstream(
    upstream: Any,
) -> None:
    server = Scripted([tool("t")], run={"t": progressing}, **upstream)
    async with federation({"s": server, "o": Scripted()}) as app:
        replies = await asyncio.gather(*(
            Modern(app).send("tools/call", {"name": "t", "_meta": {"progressToken": "mine"}}) for _ in range(2)
        ))  # fmt: skip
    for reply in replies:
        said = events(reply)
        assert said[0]["params"] == {"progressToken": "mine", "progress": 1, "extra": [1]}
        assert "result" in said[-1]
    tokens = [call.params["_meta"]["progressToken"] for call in server.calls()]
    assert len(set(tokens)) == 2


async def test_nothing_is_held_back_while_a_tool_goes_on() -> None:
    going = asyncio.Event()

    async def slow(asked: Asked) -> Any:
        await asked.notify(
            "notifications/progress", {"progressToken": asked.params["_meta"]["progressToken"], "progress": 1}
        )
        await going.wait()
        return text("done")

    def seen(reply: Reply) -> bool:
        if any(b"notifications/progress" in chunk for chunk in reply.chunks):
            going.set()  # the tool ends only when its progress has arrived
        return False

    async with federation({"s": Scripted([tool("t")], run={"t": slow})}) as app:
        params = {"name": "t", "_meta": {"progressToken": 1}}
        reply = await asyncio.wait_for(Modern(app).send("tools/call", params, leave_after=seen), 5)
    assert answer(reply)["result"]["content"][0]["text"] == "done"


async def test_log_lines_come_only_to_a_modern_client_that_asked_and_only_from_its_level() -> None:
    async def logging(asked: Asked) -> Any:
        for level in ("debug", "error"):
            await asked.notify("notifications/message", {"level": level, "data": level})
        return text("ok")

    async with federation({"s": Scripted([tool("t")], run={"t": logging})}) as app:
        silent = await Modern(app).send("tools/call", {"name": "t"})
        loud = await Modern(app).send("tools/call", {"name": "t", "_meta": {META + "logLevel": "warning"}})
    assert silent.headers["content-type"] == "application/json"
    assert [each["params"]["level"] for each in events(loud)[:-1]] == ["error"]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_modern_client_that_leaves_cancels_at_the_server(era: str) -> None:
    hanging = asyncio.Event()

    async def hang(asked: Asked) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    server = Scripted([tool("t")], run={"t": hang}, modern=era == "modern", legacy=era == "legacy")
    async with federation({"s": server, "o": Scripted()}) as app:
        await Modern(app).tools()
        gone = asyncio.Event()
        asking = asyncio.create_task(_leaving(app, gone))
        await hanging.wait()
        gone.set()
        await asyncio.wait_for(asking, 2)
        await asyncio.wait_for(server.gone.wait(), 1)  # within a second
        if era == "legacy":
            await eventually(lambda: any(each["method"] == "notifications/cancelled" for each in server.told))
            call = server.calls()[0]
            cancelled = next(each for each in server.told if each["method"] == "notifications/cancelled")
            assert cancelled["params"]["requestId"] == call.message["id"]


async def _leaving(app: Any, gone: asyncio.Event) -> None:
    meta = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {}}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "_meta": meta}}
    ).encode()
    sent = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        if sent:
            return sent.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        return None

    headers = [(b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", b"tools/call"), (b"mcp-name", b"t"),
               (b"host", b"localhost")]  # fmt: skip
    await app(
        {"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "state": {}}, receive, send
    )


async def test_a_legacy_clients_cancellation_reaches_the_server_under_the_id_that_it_knows() -> None:
    hanging = asyncio.Event()

    async def hang(asked: Asked) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    server = Scripted([tool("t")], run={"t": hang}, modern=False)
    async with federation({"s": server}) as app:
        asking = await Legacy(app).begin()
        call = asyncio.create_task(asking.send("tools/call", {"name": "t"}, id="mine"))
        await hanging.wait()
        cancelled = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": "mine", "reason": "no"},
        }
        assert (await asking.post(cancelled)).status == 202
        reply = await asyncio.wait_for(call, 2)
        assert reply.body == b""
    told = next(each for each in server.told if each["method"] == "notifications/cancelled")
    assert told["params"] == {"requestId": server.calls()[0].message["id"], "reason": "no"}


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list"])
async def test_a_legacy_server_asks_its_legacy_client_by_way_of_any_instance(method: str) -> None:
    async def asks(asked: Asked) -> Any:
        given = await asked.ask(method, {"message": "?"})
        return text(json.dumps(given.get("result")))

    server = Scripted([tool("t")], run={"t": asks}, modern=False)
    key = b"k" * 32
    async with federation({"s": server, "o": Scripted()}, seal_key=key) as app:
        asking = await Legacy(app, capabilities={"sampling": {}, "elicitation": {}, "roots": {}}).begin()
        answers: list[Any] = []

        def seen(reply: Reply) -> bool:
            for each in events(reply):
                if each.get("method") == method and not answers:
                    body = {"jsonrpc": "2.0", "id": each["id"], "result": {"said": "yes"}}
                    answers.append(asyncio.ensure_future(asking.post(body)))
            return False

        reply = await asyncio.wait_for(asking.send("tools/call", {"name": "t"}, leave_after=seen), 5)
        assert (await answers[0]).status == 202
    assert answer(reply)["result"]["content"][0]["text"] == '{"said": "yes"}'
    init = server.calls("initialize")[-1]
    assert init.params["capabilities"] == {"sampling": {}, "elicitation": {}, "roots": {}}


async def test_a_legacy_server_that_asks_a_modern_client_is_told_that_it_cannot_and_goes_on() -> None:
    async def asks(asked: Asked) -> Any:
        given = await asked.ask("elicitation/create", {})
        return text(str(given["error"]["code"]))

    server = Scripted([tool("t")], run={"t": asks}, modern=False)
    async with federation({"s": server}) as app:
        assert (await Modern(app).call("t"))["content"][0]["text"] == "-32601"
    assert server.calls("initialize")[-1].params["capabilities"] == {}


async def test_what_a_modern_server_needs_is_asked_of_a_modern_client_word_for_word() -> None:
    wanted = {
        "resultType": "input_required",
        "requestState": "opaque",
        "inputRequests": {"a": {"method": "roots/list"}},
    }

    async def needs(asked: Asked) -> Any:
        return (
            wanted
            if "inputResponses" not in asked.params
            else text(json.dumps(asked.params["inputResponses"]))
        )

    server = Scripted([tool("t")], run={"t": needs}, legacy=False)
    async with federation({"s": server}) as app:
        asking = Modern(app, capabilities={"roots": {}})
        assert await asking.call("t") == wanted
        params = {"name": "t", "inputResponses": {"a": {"roots": []}}, "requestState": "opaque"}
        assert "roots" in (await asking.ask("tools/call", params))["result"]["content"][0]["text"]
    assert server.calls()[-1].params["requestState"] == "opaque"
    assert server.calls()[-1].params["_meta"][META + "clientCapabilities"] == {"roots": {}}


async def test_what_a_modern_server_needs_is_asked_of_a_legacy_client_while_its_stream_is_held() -> None:
    async def needs(asked: Asked) -> Any:
        if "inputResponses" not in asked.params:
            request = {"method": "elicitation/create", "params": {"message": "name?"}}
            return {"resultType": "input_required", "requestState": "s1", "inputRequests": {"who": request}}
        return text(json.dumps([asked.params["inputResponses"], asked.params["requestState"]]))

    server = Scripted([tool("t")], run={"t": needs}, legacy=False)
    async with federation({"s": server}) as app:
        asking = await Legacy(app, capabilities={"elicitation": {}}).begin()
        given: list[Any] = []

        def seen(reply: Reply) -> bool:
            for each in events(reply):
                if each.get("method") == "elicitation/create":
                    result = {"action": "accept", "content": {"name": "Ada"}}
                    body = {"jsonrpc": "2.0", "id": each["id"], "result": result}
                    given.append(asyncio.ensure_future(asking.post(body)))
            return False

        reply = await asyncio.wait_for(asking.send("tools/call", {"name": "t"}, leave_after=seen), 5)
        said = json.loads(answer(reply)["result"]["content"][0]["text"])
        assert said == [{"who": {"action": "accept", "content": {"name": "Ada"}}}, "s1"]
        unable = await Legacy(app).begin()
        refused = await unable.call("t")
    assert refused["isError"] is True
    assert "elicitation" in refused["content"][0]["text"]


@pytest.mark.parametrize("upstream", [{"modern": False}, {}])
async def test_a_change_reaches_the_legacy_clients_own_stream_and_forgets_the_list(upstream: Any) -> None:
    server = Scripted([tool("t")], ttl=60_000, **upstream)
    async with federation({"s": server, "o": Scripted()}) as app:
        asking = await Legacy(app).begin()
        assert await asking.tools() == ["t"]

        def heard(reply: Reply) -> bool:
            return any("list_changed" in each.get("method", "") for each in events(reply))

        stream = asyncio.create_task(asking.get(leave_after=heard))
        await asyncio.wait_for(server.streaming.wait(), 2)
        server.tools.append(tool("new"))
        await server.streams[0]("notifications/tools/list_changed")
        await asyncio.wait_for(stream, 2)
        assert await asking.tools() == ["t", "new"]


async def test_one_subscription_follows_servers_of_both_eras_under_the_clients_id() -> None:
    ready = asyncio.Event()

    async def listens(asked: Asked) -> Any:
        meta = {META + "subscriptionId": asked.message["id"]}
        given = {"_meta": meta, "notifications": {"toolsListChanged": True}}
        await asked.notify("notifications/subscriptions/acknowledged", given)
        await ready.wait()
        await asked.notify("notifications/tools/list_changed", {"_meta": meta, "from": "modern"})
        await asyncio.Event().wait()

    modern = Scripted(methods={"subscriptions/listen": listens}, legacy=False)
    legacy = Scripted(modern=False)
    mute = Scripted(capabilities={"tools": {}})
    async with federation({"m": modern, "l": legacy, "q": mute}) as app:

        def heard(reply: Reply) -> bool:
            said = events(reply)
            if said:
                ready.set()
            return len(said) >= 3

        await Modern(app).tools()
        wanted = {"notifications": {"toolsListChanged": True, "promptsListChanged": True}}
        waiting = asyncio.create_task(
            Modern(app).send("subscriptions/listen", wanted, id="sub", leave_after=heard)
        )
        await asyncio.wait_for(legacy.streaming.wait(), 3)
        await asyncio.wait_for(ready.wait(), 3)
        await legacy.streams[0]("notifications/tools/list_changed", {"from": "legacy"})
        reply = await asyncio.wait_for(waiting, 5)
    said = events(reply)
    assert said[0]["method"] == "notifications/subscriptions/acknowledged"
    assert said[0]["params"]["notifications"] == {"toolsListChanged": True}
    assert {each["params"]["from"] for each in said[1:3]} == {"modern", "legacy"}
    assert all(each["params"]["_meta"][META + "subscriptionId"] == "sub" for each in said[:3])


async def test_a_stream_that_the_server_closes_to_be_polled_is_resumed_for_who_cannot_poll() -> None:
    class Polling(Scripted):
        """Closes its stream after the first event, and gives the answer to who comes back."""

        async def _answer(
            self, message: Any, body: bytes, headers: Any, receive: Any, send: Any, session: str
        ) -> None:
            if message["method"] != "tools/call":
                await super()._answer(message, body, headers, receive, send, session)
                return
            self.pending = message["id"]
            head = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": b"id: e1\nretry: 1\ndata: \n\n"})

        async def _get(self, headers: Any, receive: Any, send: Any) -> None:
            assert headers["last-event-id"] == "e1"
            data = json.dumps({"jsonrpc": "2.0", "id": self.pending, "result": text("late")}).encode()
            head = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": b"id: e2\ndata: " + data + b"\n\n"})

    server = Polling([tool("t")], modern=False)
    async with federation({"s": server}) as app:
        assert (await Modern(app).call("t"))["content"][0]["text"] == "late"
        legacy = await Legacy(app).begin()
        broken = await legacy.send("tools/call", {"name": "t"}, id="mine")
        assert b"retry: 1" in broken.body
        event = next(line[4:] for line in broken.body.decode().split("\n") if line.startswith("id: "))
        assert event != "e1"  # sealed: it says where, to us only
        resumed = await asyncio.wait_for(legacy.get(headers={"last-event-id": event}), 3)
    assert events(resumed)[-1]["id"] == "mine"
    assert events(resumed)[-1]["result"]["content"][0]["text"] == "late"


async def test_trace_context_goes_in_by_meta_and_out_as_our_own_span() -> None:
    server = Scripted([tool("t")])
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with federation({"s": server}) as app:
        meta = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "claudecode/toolUseId": "toolu_1"}
        await Modern(app).ask("tools/call", {"name": "t", "_meta": meta})
        await Modern(app).ask("tools/call", {"name": "t"})
    first, second = (call.params["_meta"] for call in server.calls())
    assert first["traceparent"].startswith(f"00-{trace}-")
    assert "00f067aa0ba902b7" not in first["traceparent"]
    assert first["claudecode/toolUseId"] == "toolu_1"
    assert "traceparent" not in second
