"""Keys, kill switches, pins and the like: one item each, all of a kind in one partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from gateway.stores.dynamodb.client import ConditionFailed, DynamoClient
from gateway.stores.protocols import Item

_NAMES = {"#v": "value", "#n": "version", "#e": "expires"}


class DynamoDocuments:
    def __init__(self, client: DynamoClient, table: str, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    async def get(self, kind: str, key: str) -> Item | None:
        request = {"TableName": self._table, "Key": _key(kind, key), "ConsistentRead": True}
        found = (await self._client.call("GetItem", request)).get("Item")
        return _item(found) if found and self._stands(found) else None

    async def put(
        self,
        kind: str,
        key: str,
        value: Mapping[str, Any],
        *,
        expires: float | None = None,
        expect: int | None = None,
    ) -> bool:
        update = "SET #v = :v, #n = if_not_exists(#n, :zero) + :one"
        values: dict[str, Any] = {
            ":v": {"S": orjson.dumps(value).decode()},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
        }
        update += ", #e = :e" if expires is not None else " REMOVE #e"
        if expires is not None:
            values[":e"] = {"N": repr(float(expires))}
        request = {"TableName": self._table, "Key": _key(kind, key), "UpdateExpression": update,
                   "ExpressionAttributeNames": _NAMES, "ExpressionAttributeValues": values}  # fmt: skip
        if expect is not None:
            values[":now"] = {"N": repr(self._clock())}
            request["ConditionExpression"] = "attribute_not_exists(#v) OR #e <= :now"
            if expect:
                values[":expect"] = {"N": str(expect)}
                request["ConditionExpression"] = "#n = :expect AND (attribute_not_exists(#e) OR #e > :now)"
        try:
            await self._client.call("UpdateItem", request)
        except ConditionFailed:
            return False
        return True

    async def delete(self, kind: str, key: str) -> None:
        await self._client.call("DeleteItem", {"TableName": self._table, "Key": _key(kind, key)})

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Item]]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)" if prefix else "pk = :pk",
            "ExpressionAttributeValues": {
                ":pk": {"S": "d#" + kind},
                **({":prefix": {"S": prefix}} if prefix else {}),
            },
            "ConsistentRead": True,
        }
        if after:
            request["ExclusiveStartKey"] = _key(kind, after)
        found: list[tuple[str, Item]] = []
        while len(found) < limit:
            page = await self._client.call("Query", request, patient=True)
            found += [(row["sk"]["S"], _item(row)) for row in page["Items"] if self._stands(row)]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return found[:limit]

    def _stands(self, row: Mapping[str, Any]) -> bool:
        return "expires" not in row or float(row["expires"]["N"]) > self._clock()


def _key(kind: str, key: str) -> dict[str, Any]:
    return {"pk": {"S": "d#" + kind}, "sk": {"S": key}}


def _item(row: Mapping[str, Any]) -> Item:
    return Item(orjson.loads(row["value"]["S"]), int(row["version"]["N"]))
