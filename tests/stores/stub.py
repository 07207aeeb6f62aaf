"""A server that answers as DynamoDB does when things go wrong: what no engine can be made to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

Answer = tuple[int, dict[str, Any]]
THROTTLED: Answer = (
    400,
    {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "slow down",
    },
)
CONFLICT: Answer = (
    400,
    {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "conflict"},
)
FORBIDDEN: Answer = (
    400,
    {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not yours"},
)
NO_TABLE: Answer = (
    400,
    {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no table"},
)
SKEWED: Answer = (
    400,
    {"__type": "com.amazon.coral.service#InvalidSignatureException", "message": "Signature expired"},
)
BROKEN: Answer = (500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "ours"})
GARBAGE: Answer = (502, {})


def taken(**values: int) -> Answer:
    return 200, {"Attributes": {name: {"N": str(value)} for name, value in values.items()}}


class Stub:
    """`async with Stub([THROTTLED, taken(l=1)]) as stub:` answers in turn, the last one for ever; a function answers each request."""

    def __init__(
        self,
        answers: list[Answer] | Callable[[dict[str, Any]], Answer],
        *,
        delay: float = 0.0,
        clock: float | None = None,
    ) -> None:
        self._answers = answers
        self._delay = delay
        self._clock = clock
        self.requests: list[dict[str, Any]] = []
        self.stamps: list[str] = []
        self.answered = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Stub:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._exchange(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        self.requests.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        self.stamps.append(headers["x-amz-date"])
        if self._delay:
            await asyncio.sleep(self._delay)
        status, answer = self._answer(self.requests[-1])
        body = json.dumps(answer).encode() if answer else b"<html>"
        date = formatdate(self._clock, usegmt=True)
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ndate: {date}\r\n\r\n".encode() + body
        )
        await writer.drain()
        self.answered += 1

    def _answer(self, request: dict[str, Any]) -> Answer:
        if not isinstance(self._answers, list):
            return self._answers(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
