"""A small DynamoDB client: one signed POST on a kept-alive connection, some 100 µs of our CPU."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from gateway.errors import StoreError, StoreUnusable, Unwritable, UpstreamError
from gateway.net.client import Client, Timeouts, header
from gateway.stores.dynamodb.credentials import Source
from gateway.stores.dynamodb.sigv4 import Signer

Json = Mapping[str, Any]
JSON = "application/x-amz-json-1.0"
BUDGET = 0.25  # seconds for one decision, all tries included
THROTTLED = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
                       "TransactionConflictException", "InternalServerError", "ServiceUnavailable"})  # fmt: skip
SKEWED = frozenset(
    {"InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch"}
)
# What an account lacks, by the kind of error that AWS answers.
UNUSABLE = {
    "ResourceNotFoundException": "there is no table {table} in {region}: `gateway store init` makes it, or a stack of template.yaml",
    "AccessDeniedException": "these credentials may not {action} on the table {table}: allow what infra/dynamodb/policy.json lists",
    "UnrecognizedClientException": "AWS does not know these credentials",
}
# An item beyond 400 KB, say; a request too long for all that it holds has a status only.
UNWRITABLE = frozenset({"ValidationException", "SerializationException", "413"})
OTHERS_KEY = "does not match the schema"  # of a ValidationException, where the table is another program's
NOTICEABLE = 5.0  # seconds by which our clock must be wrong before a refused signature is put down to it
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ConditionFailed(Exception):
    def __init__(self, item: Json) -> None:
        self.item = item


class DynamoClient:
    """`await DynamoClient(net, region="eu-west-1", credentials=source()).call("GetItem", {...})`"""

    def __init__(
        self,
        net: Client,
        *,
        region: str,
        credentials: Source,
        endpoint: str = "",
        budget: float = BUDGET,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._net = net
        self._url = (endpoint or f"https://dynamodb.{region}.amazonaws.com").rstrip("/") + "/"
        self._host = self._url.split("://", 1)[1].rstrip("/")
        self._region = region
        self._signer = Signer(region, "dynamodb")
        self._credentials = credentials
        self._clock = clock
        self._jitter = jitter
        self._offset = 0.0  # how far the server's clock is from ours
        self._stamp: tuple[int, str] = (0, "")
        self._timeouts = Timeouts(connect=budget, first_byte=budget, idle=budget, total=budget)
        self.budget = budget
        self.calls: dict[str, int] = {}  # by operation: what a script counts

    async def call(self, operation: str, request: Json, *, patient: bool = False) -> Json:
        """Raises StoreError; ConditionFailed with the item that stood there. `patient` is for what nobody waits for."""
        try:
            body = orjson.dumps(request)
        except orjson.JSONEncodeError as error:
            raise Unwritable(f"DynamoDB {operation}: {error}") from error
        tries = 6 if patient else 2
        for attempt in range(tries):
            status, kind, answer = await self._send(operation, body)
            if status == 200:
                return answer
            if kind == "ConditionalCheckFailedException":
                raise ConditionFailed(answer.get("Item", {}))
            retry = kind in THROTTLED or status >= 500 or (kind in SKEWED and attempt == 0)
            if not retry or attempt == tries - 1:
                raise self._error(operation, request, kind or str(status), answer.get("message", ""))
            if kind not in SKEWED:
                await asyncio.sleep((0.02 if not patient else 0.05 * 2**attempt) * (0.5 + self._jitter()))
        raise AssertionError

    def _error(self, operation: str, request: Json, kind: str, message: str) -> StoreError:
        table = request.get("TableName") or next(iter(request.get("RequestItems", ())), "")
        if lacking := UNUSABLE.get(kind):
            action = f"dynamodb:{operation}"
            return StoreUnusable(
                "DynamoDB: " + lacking.format(table=table, region=self._region, action=action)
            )
        if OTHERS_KEY in message:
            return StoreUnusable(
                f"DynamoDB: the key of {table} is not pk and sk: it is another program's table"
            )
        failed = Unwritable if kind in UNWRITABLE else StoreError
        return failed(f"DynamoDB {operation}: {kind} {message}".rstrip())

    async def _send(self, operation: str, body: bytes) -> tuple[int, str, Json]:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        headers = await self._headers("DynamoDB_20120810." + operation, body)
        try:
            response = await self._net.send(
                "POST", self._url, headers=headers, body=body, timeouts=self._timeouts
            )
            try:
                data = await response.read()
            finally:
                response.close()
        except UpstreamError as error:
            raise StoreError(f"DynamoDB {operation}: {error}") from error
        try:
            answer = _decode(data) if data else {}
        except msgspec.DecodeError:
            answer = {}
        kind = str(answer.get("__type", "")).rpartition("#")[2]
        if kind in SKEWED:
            self._learn_time(header(response.headers, b"date").decode("latin-1"))
        return response.status, kind, answer

    async def _headers(self, target: str, body: bytes) -> list[tuple[bytes, bytes]]:
        credentials = await self._credentials.get()
        stamp = self._now()
        signed = [
            ("content-type", JSON),
            ("host", self._host),
            ("x-amz-date", stamp),
            ("x-amz-target", target),
        ]
        if credentials.token:
            signed.append(("x-amz-security-token", credentials.token))
        value = self._signer.authorization(credentials, "POST", "/", "", signed, body, stamp)
        sent = [(name.encode(), text.encode()) for name, text in signed if name != "host"]
        return [*sent, (b"authorization", value.encode())]

    def _now(self) -> str:
        second = int(self._clock() + self._offset)
        if second != self._stamp[0]:
            self._stamp = second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return self._stamp[1]

    def _learn_time(self, date: str) -> None:
        """The server refused our signature: if its clock is another, sign by that one."""
        from email.utils import parsedate_to_datetime  # dear to import

        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return
        offset = theirs - self._clock()
        self._offset = offset if abs(offset) > NOTICEABLE else 0.0

    async def close(self) -> None:
        await self._net.close()
