"""The ledger: one item a record, in partitions of a month, each split so that a busy fleet does not wait for one.

The key of an item is the record's own time and id, so that writing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from gateway.errors import StoreError, Unwritable
from gateway.metering.record import Record
from gateway.stores import KEPT, rows
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.months import Months, bounds, merged
from gateway.stores.protocols import Total

SHARDS = 8
BATCH = 25  # the most that one BatchWriteItem takes
TRIES = 6
PAGE = 200


class DynamoLedger:
    """A record is gone `retention` seconds after its call: by the table's time to live, and here from then on at once."""

    def __init__(
        self,
        client: DynamoClient,
        table: str,
        *,
        retention: float = KEPT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._retention = retention
        self._client = client
        self._table = table
        self._clock = clock
        self._months = Months(self._query, shards=SHARDS)

    async def append(self, records: Sequence[Record]) -> None:
        puts_of = (put(record, retention=self._retention) for record in records)
        try:
            unique = {(key["pk"]["S"], key["sk"]["S"]): request for key, request in puts_of}
        except (ValueError, OverflowError) as error:
            raise Unwritable(f"a record that cannot be written as JSON: {error}") from error
        puts = list(unique.values())
        for start in range(0, len(puts), BATCH):
            await self._append(puts[start : start + BATCH])

    async def _append(self, puts: list[dict[str, Any]]) -> None:
        for attempt in range(TRIES):
            answer = await self._client.call(
                "BatchWriteItem", {"RequestItems": {self._table: puts}}, patient=True
            )
            puts = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not puts:
                return
            await asyncio.sleep(0.05 * 2**attempt)
        raise StoreError(f"DynamoDB left {len(puts)} records unwritten")

    async def usage(
        self, *, since: float, until: float, by: Sequence[str] = (), where: Mapping[str, str] | None = None
    ) -> Sequence[Total]:
        rows.checked(by)
        first, last = self._bounds(since, until)
        now = self._clock()
        return merged(
            [
                await self._months.usage(month, first, last, by, where, now=now)
                for month in _months(first, last)
            ]
        )

    async def records(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        where: Mapping[str, str] | None = None,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[Record]:
        first, last = self._bounds(since, until)
        if before:
            last = min(last, before)
        found: list[Record] = []
        for month in reversed(_months(first, last)):
            pages = [self._newest(month, shard, first, last) for shard in range(SHARDS)]
            async for record in _merged(pages):
                if rows.matches(record, where):
                    found.append(record)
                if len(found) == limit:
                    return found
        return found

    def _bounds(self, since: float, until: float) -> tuple[str, str]:
        """Positions: nothing is older than what is kept, or newer than the day after tomorrow."""
        now = self._clock()
        first, last = max(since, now - self._retention), min(until, now + 2 * 86_400)
        return rows.moment(first), rows.moment(last)

    async def _newest(self, month: str, shard: int, first: str, last: str) -> AsyncIterator[Record]:
        async for record in self._query(month, shard, first, last, forward=False):
            yield record

    async def _query(
        self, month: str, shard: int, first: str, last: str, *, forward: bool = True
    ) -> AsyncIterator[Record]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":pk": {"S": f"l#{month}#{shard}"},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            "ScanIndexForward": forward,
        }
        if not forward:
            request["Limit"] = PAGE
        while True:
            page = await self._client.call("Query", request, patient=True)
            for row in page["Items"]:
                if row["sk"]["S"] < last:  # BETWEEN includes its end
                    yield rows.unpack(row["record"]["S"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


async def _merged(pages: list[AsyncIterator[Record]]) -> AsyncIterator[Record]:
    """The newest of all shards first."""
    firsts = await asyncio.gather(*(anext(page, None) for page in pages))
    heads = {index: first for index, first in enumerate(firsts) if first is not None}
    while heads:
        index = max(heads, key=lambda i: rows.position(heads[i]))
        yield heads.pop(index)
        following = await anext(pages[index], None)
        if following is not None:
            heads[index] = following


def put(record: Record, *, retention: float = KEPT) -> tuple[dict[str, Any], dict[str, Any]]:
    """The key of a record's item, and the request that writes it."""
    shard = crc32(record.id.encode()) % SHARDS
    key = {"pk": {"S": f"l#{_month(record.at)}#{shard}"}, "sk": {"S": rows.position(record)}}
    item = {
        **key,
        "record": {"S": rows.pack(record).decode()},
        "expires": {"N": str(int(record.at + retention))},
    }
    return key, {"PutRequest": {"Item": item}}


def _month(at: float) -> str:
    return time.strftime("%Y-%m", time.gmtime(at))


def _months(first: str, last: str) -> list[str]:
    at, end, found = int(first[:17]) / 1e6, _month(int(last[:17]) / 1e6), []
    while (month := _month(at)) <= end:
        found.append(month)
        _, at = bounds(month)
    return found
