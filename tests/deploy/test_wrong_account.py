"""What does not fit Lambda, or is missing in the account, is said before or instead of an answer, in words that name it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Resources
from gateway.errors import ConfigError, StoreError
from gateway.net.client import Response
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.credentials import Fixed
from gateway.stores.dynamodb.sigv4 import Credentials


def on_lambda(text: str) -> None:
    resources = Resources(place="lambda")
    try:
        build(loads(text, source="gateway.yaml", folder=Path(), env={}), resources)
    finally:
        asyncio.run(resources.close())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "store: 'sqlite:///x.db'\nroutes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\n",
            "gateway.yaml: store: SQLite does not fit Lambda",
        ),
        (
            "routes:\n- path: /mcp\n  mcp: {servers: {files: {command: [npx, -y, server]}}}\n",
            r"gateway.yaml:2: route /mcp: mcp.servers.files: a command cannot run on Lambda.*give its url",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        on_lambda(text)


class Refusing:
    """DynamoDB, where the table or the permission is missing."""

    def __init__(self, kind: str, message: str) -> None:
        self.body = json.dumps(
            {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message}
        ).encode()

    async def send(self, *_: Any, **__: Any) -> Response:
        return _Answer(self.body)

    async def close(self) -> None:
        return


class _Answer:
    status = 400
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def read(self) -> bytes:
        return self.body

    def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ResourceNotFoundException", "Requested resource not found: Table: gateway not found"),
        ("AccessDeniedException", "User: arn:aws:sts::1:assumed-role/gateway is not authorized to perform: dynamodb:UpdateItem"),
    ],
)  # fmt: skip
async def test_a_missing_table_or_permission_is_named_with_the_operation(kind: str, message: str) -> None:
    net: Any = Refusing(kind, message)
    client = DynamoClient(net, region="eu-west-1", credentials=Fixed(Credentials("a", "b")))
    with pytest.raises(StoreError, match=f"DynamoDB UpdateItem: {kind} {message[:20]}"):
        await client.call("UpdateItem", {"TableName": "gateway"})
