"""Any number of machines, and Lambdas: everything in one DynamoDB table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.metering.record import Record
from gateway.stores import KEPT
from gateway.stores.dynamodb import writes
from gateway.stores.dynamodb.buckets import SKEW, DynamoBuckets
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.documents import DynamoDocuments
from gateway.stores.dynamodb.leases import Leases
from gateway.stores.dynamodb.ledger import DynamoLedger
from gateway.stores.protocols import Item, Take, Taken, Total


class DynamoStore:
    """`DynamoStore(client, "gateway")`

    `settle_now` writes each settlement before the response ends (on Lambda), instead of with the entity's next write.
    `leases` lets a long-running process take several calls' worth of a busy entity at once. `skew` is by how many seconds
    machines' clocks may disagree, `retention` for how many the ledger keeps a record.
    """

    def __init__(
        self,
        client: DynamoClient,
        table: str,
        *,
        settle_now: bool = False,
        leases: Leases | None = None,
        skew: float = SKEW,
        retention: float = KEPT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        self.table = table
        self.settle_waits = settle_now
        self._buckets = DynamoBuckets(
            client, table, skew=skew, settle_now=settle_now, leases=leases, clock=clock
        )
        self._documents = DynamoDocuments(client, table, clock=clock)
        self._ledger = DynamoLedger(client, table, retention=retention, clock=clock)

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        return await self._buckets.take(entity, takes)

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        await self._buckets.settle(entity, takes)

    async def buckets(
        self, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """A scan: every partition is read. The order is DynamoDB's own."""
        request: dict[str, Any] = {
            "TableName": self.table,
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": {":prefix": {"S": "b#" + prefix}},
        }
        if after:
            request["ExclusiveStartKey"] = {"pk": {"S": "b#" + after}, "sk": {"S": "-"}}
        found: list[tuple[str, Mapping[str, Any]]] = []
        while len(found) < limit:
            page = await self.client.call("Scan", request, patient=True)
            found += [(row["pk"]["S"][2:], writes.state(row)) for row in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return found[:limit]

    async def get(self, kind: str, key: str) -> Item | None:
        return await self._documents.get(kind, key)

    async def put(
        self,
        kind: str,
        key: str,
        value: Mapping[str, Any],
        *,
        expires: float | None = None,
        expect: int | None = None,
    ) -> bool:
        return await self._documents.put(kind, key, value, expires=expires, expect=expect)

    async def delete(self, kind: str, key: str) -> None:
        await self._documents.delete(kind, key)

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Item]]:
        return await self._documents.list(kind, prefix=prefix, after=after, limit=limit)

    async def append(self, records: Sequence[Record]) -> None:
        await self._ledger.append(records)

    async def usage(
        self, *, since: float, until: float, by: Sequence[str] = (), where: Mapping[str, str] | None = None
    ) -> Sequence[Total]:
        return await self._ledger.usage(since=since, until=until, by=by, where=where)

    async def records(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        where: Mapping[str, str] | None = None,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[Record]:
        return await self._ledger.records(since=since, until=until, where=where, before=before, limit=limit)

    async def close(self) -> None:
        await self._buckets.close()
        await self.client.close()
