"""A Lambda runtime loop that streams: Mangum cannot, and neither can the managed Python runtime.

It takes invocations from the Runtime API one after the other, runs the ASGI app in one event loop that lives as long as the
environment, and posts each message the moment it is sent: a JSON prelude, eight NUL bytes, then the body in chunks. An error
after the first byte travels in trailers, so that the platform tells the caller that the answer is not whole.

The function's handler starts it: `AWS_LAMBDA_EXEC_WRAPPER` names a script that runs `python -m gateway.lambda_runtime`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.call import Call
from gateway.lambda_events import scope_and_body
from gateway.refusals import Refusal
from gateway.types import App, Message

VERSION = "/2018-06-01/runtime"
MEDIA = "application/vnd.awslambda.http-integration-response"
MARGIN = 2.0  # seconds before the platform's deadline in which a stream ends in order


class Invocation(Struct, frozen=True):
    id: str
    event: Mapping[str, Any]
    deadline: float  # seconds since the epoch
    trace: str = ""
    function: str = ""


class RuntimeApi:
    """The wire: HTTP/1.1 to the address in AWS_LAMBDA_RUNTIME_API, a connection for each question and each answer."""

    def __init__(self, address: str) -> None:
        self.host, _, port = address.partition(":")
        self.port = int(port or 80)

    async def next(self, path: str = "/invocation/next") -> Invocation:
        headers, body = await self._get(path)
        return Invocation(
            headers.get("lambda-runtime-aws-request-id", ""),
            json.loads(body or b"{}"),
            int(headers.get("lambda-runtime-deadline-ms", "0")) / 1000,
            headers.get("lambda-runtime-trace-id", ""),
            headers.get("lambda-runtime-invoked-function-arn", ""),
        )

    async def _get(self, path: str) -> tuple[dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(
                f"GET {VERSION}{path} HTTP/1.1\r\nhost: {self.host}\r\nconnection: close\r\n\r\n".encode()
            )
            return await _read(reader)
        finally:
            await _closed(writer)

    async def answer(self, invocation: Invocation) -> Answer:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        return Answer(f"{VERSION}/invocation/{invocation.id}/response", self.host, reader, writer)

    async def failed(self, path: str, error: BaseException) -> None:
        body = json.dumps(
            {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
        ).encode()
        head = (f"POST {VERSION}{path} HTTP/1.1\r\nhost: {self.host}\r\nconnection: close\r\n"
                f"content-type: application/vnd.aws.lambda.error+json\r\ncontent-length: {len(body)}\r\n"
                f"lambda-runtime-function-error-type: {type(error).__name__}\r\n\r\n")  # fmt: skip
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(head.encode() + body)
            await _read(reader)
        finally:
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    """One answer of the Runtime API."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name
    }
    if headers.get("transfer-encoding") == "chunked":
        return headers, await _chunks(reader)
    if "content-length" in headers:
        return headers, await reader.readexactly(int(headers["content-length"]))
    return headers, await reader.read()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    return b"".join(parts)


class Answer:
    """One streamed response. As an ASGI `send` it writes each message at once."""

    def __init__(
        self, path: str, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.path, self.host, self.reader, self.writer = path, host, reader, writer
        self.started = self.ended = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin(message)
            return
        if body := message.get("body", b""):
            self.writer.write(b"%x\r\n%s\r\n" % (len(body), body))
        if not message.get("more_body", False):
            await self.end()
        await self.writer.drain()

    def _begin(self, message: Message) -> None:
        self.started = True
        head = (f"POST {self.path} HTTP/1.1\r\nhost: {self.host}\r\nconnection: close\r\n"
                f"content-type: {MEDIA}\r\nlambda-runtime-function-response-mode: streaming\r\n"
                "transfer-encoding: chunked\r\n"
                "trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n")  # fmt: skip
        start = json.dumps(prelude(message)).encode() + b"\0" * 8
        self.writer.write(head.encode() + b"%x\r\n%s\r\n" % (len(start), start))

    async def end(self, error: BaseException | None = None) -> None:
        """The last chunk; with an error its type and text as trailers."""
        if self.ended:
            return
        self.ended = True
        trailers = b""
        if error is not None:
            told = {"errorType": type(error).__name__, "errorMessage": "the response was cut short"}
            text = base64.b64encode(json.dumps(told).encode())
            trailers = (
                b"Lambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n"
                % (
                    type(error).__name__.encode(),
                    text,
                )
            )
        self.writer.write(b"0\r\n" + trailers + b"\r\n")
        await self.writer.drain()
        await _read(self.reader)


def prelude(message: Message) -> dict[str, Any]:
    """Status, headers and cookies. The platform frames the body itself."""
    headers: dict[str, str] = {}
    cookies = []
    for name, value in (
        (k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in message.get("headers", ())
    ):
        if name == "set-cookie":
            cookies.append(value)
        elif name not in ("transfer-encoding", "connection"):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {"statusCode": message["status"], "headers": headers, "cookies": cookies}


async def respond(
    app: App,
    api: RuntimeApi,
    invocation: Invocation,
    *,
    now: Callable[[], float] = time.time,
    margin: float = MARGIN,
) -> None:
    """One invocation, from its event to the end of its answer."""
    os.environ["_X_AMZN_TRACE_ID"] = invocation.trace
    try:
        scope, body = scope_and_body(invocation.event, invocation.function)
    except ValueError as error:
        return await api.failed(f"/invocation/{invocation.id}/error", error)
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    left = asyncio.Event()

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    answer = await api.answer(invocation)
    ending = _at_deadline(scope, invocation, now, margin)
    try:
        await app(scope, receive, answer)
        await answer.end()
    except Exception as error:
        if answer.started:
            await answer.end(error)
        else:
            await api.failed(f"/invocation/{invocation.id}/error", error)
    finally:
        left.set()
        ending.cancel()
        await _closed(answer.writer)


def _at_deadline(
    scope: Mapping[str, Any], invocation: Invocation, now: Callable[[], float], margin: float
) -> asyncio.TimerHandle:
    """Ends the call shortly before the platform would kill it: the client sees an error event, and usage is settled."""

    def stop() -> None:
        call: Call | None = scope["state"].get("gateway")
        if call is not None:
            text = "the function's time is nearly over; ask for a shorter answer, or raise its timeout"
            call.stop(Refusal(504, "timeout_error", text))

    return asyncio.get_running_loop().call_later(max(0.0, invocation.deadline - now() - margin), stop)


async def loop(app: App, api: RuntimeApi) -> None:
    while True:
        await respond(app, api, await api.next())


async def start(api: RuntimeApi) -> None:
    try:
        from gateway.aws import application

        app = application()
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            await api.next("/restore/next")
    except BaseException as error:
        await api.failed("/init/error", error)
        raise
    await loop(app, api)


def main() -> None:
    place = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if place is None:
        sys.exit(
            "AWS_LAMBDA_RUNTIME_API is not set: this is Lambda's runtime loop; `gateway serve` runs elsewhere"
        )
    asyncio.run(start(RuntimeApi(place)))


if __name__ == "__main__":
    main()
