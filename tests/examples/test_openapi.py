"""The example of an HTTP API behind the gateway, whole: served, with a key, by its own file."""

from pathlib import Path
from typing import Any

import httpx
import orjson

from gateway.types import Receive, Scope, Send
from tests.mcp.apis import Api
from tests.mcp.servers import served
from tests.whole.running import whole

FOLDER = Path(__file__).parents[2] / "examples/openapi"


class Shop(Api):
    """Refuses who does not show the shop's key."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 200 if (b"x-api-key", b"shop-secret") in scope["headers"] else 401
        await super().__call__(scope, receive, send)


async def rpc(client: httpx.AsyncClient, method: str, **params: Any) -> Any:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return (await client.post("/mcp", json=message)).json()["result"]


async def test_the_example_serves_the_shop_as_tools_and_keeps_its_rule() -> None:
    shop = Shop(body=orjson.dumps({"orders": [{"id": n} for n in range(100)]}))
    text = (
        (FOLDER / "gateway.yaml")
        .read_text()
        .replace("{keys: true}", "{keys: [{key: agent, id: agent, groups: [eng]}]}")
    )
    async with served(shop) as url:
        env = {"SHOP_URL": url.replace("/mcp", "/v1"), "SHOP_KEY": "shop-secret"}
        async with (
            whole(text, folder=FOLDER, **env) as running,
            httpx.AsyncClient(base_url=running.url, headers={"x-api-key": "agent"}) as client,
        ):
            tools = {tool["name"]: tool for tool in (await rpc(client, "tools/list"))["tools"]}
            listed = await rpc(
                client, "tools/call", name="listOrders", arguments={"status": ["open", "paid"], "limit": 5}
            )
            order = {"customer": "ada", "lines": [{"sku": "tea", "count": 2}]}
            await rpc(
                client, "tools/call", name="createOrder", arguments={"Idempotency-Key": "k1", "body": order}
            )
            refused = await rpc(client, "tools/call", name="cancelOrder", arguments={"orderId": "o-1"})
            [record] = await running.records(1, tool="listOrders")
    assert list(tools) == ["listOrders", "createOrder", "getOrder"]
    assert set(tools["createOrder"]["inputSchema"]["$defs"]) == {"Line", "NewOrder"}
    assert len(listed["structuredContent"]["orders"]) == 50
    assert listed["_meta"]["gateway/truncated"] == {"rows": 50, "of": 100}
    assert refused["isError"] is True
    assert [(each.method, each.target) for each in shop.asked] == [
        ("GET", "/v1/orders?status=open&status=paid&limit=5"),
        ("POST", "/v1/orders"),
    ]
    assert orjson.loads(shop.asked[1].body) == order
    assert shop.asked[1].headers["idempotency-key"] == "k1"
    assert shop.asked[1].headers["x-api-key"] == "shop-secret"
    assert (record.server, record.tool, record.outcome) == ("shop", "listOrders", "ok")
