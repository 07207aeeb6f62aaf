"""One request, in every place where the same app runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx
from mangum import Mangum

from gateway import lambda_runtime
from gateway.types import App
from tests.deploy.runtime_api import runtime_api
from tests.whole.running import served


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Asked:
    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def parts(self) -> tuple[str, str]:
        path, _, query = self.path.partition("?")
        return path, query


async def uvicorn(app: App, asked: Asked, close: Callable[[], Awaitable[None]]) -> Answer:
    async with served(app) as url, httpx.AsyncClient() as client:
        reply = await client.request(asked.verb, url + asked.path, headers=asked.headers, content=asked.body)
        return Answer(reply.status_code, reply.headers, reply.content)


def http_api(asked: Asked) -> dict[str, Any]:
    path, query = asked.parts
    http = {
        "method": asked.verb,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.7",
        "userAgent": "t",
    }
    return {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": {"host": "api.example.com", **asked.headers}, "isBase64Encoded": False, "body": asked.body.decode(),
            "requestContext": {"http": http, "domainName": "api.example.com", "requestId": "r", "stage": "$default"}}  # fmt: skip


def rest_api(asked: Asked) -> dict[str, Any]:
    path, query = asked.parts
    headers = {"host": "api.example.com", **asked.headers}
    pairs = dict(parse_qsl(query))
    return {"resource": "/{proxy+}", "path": path, "httpMethod": asked.verb, "headers": headers,
            "multiValueHeaders": {k: [v] for k, v in headers.items()}, "queryStringParameters": pairs or None,
            "multiValueQueryStringParameters": {k: [v] for k, v in pairs.items()} or None, "isBase64Encoded": False,
            "body": asked.body.decode() or None,
            "requestContext": {"identity": {"sourceIp": "203.0.113.7"}, "stage": "live", "httpMethod": asked.verb}}  # fmt: skip


def balancer(asked: Asked) -> dict[str, Any]:
    path, query = asked.parts
    return {"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": asked.verb, "path": path,
            "queryStringParameters": dict(parse_qsl(query)), "headers": {"host": "alb.example.com", **asked.headers},
            "body": asked.body.decode(), "isBase64Encoded": False}  # fmt: skip


# The last one closes what the app opened in this place's event loop.
Place = Callable[[App, Asked, Callable[[], Awaitable[None]]], Awaitable[Answer]]


def mangum(event: Callable[[Asked], dict[str, Any]]) -> Place:
    async def place(app: App, asked: Asked, close: Callable[[], Awaitable[None]]) -> Answer:
        def run() -> Any:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            try:
                return Mangum(app, lifespan="off")(event(asked), None)
            finally:
                loop.run_until_complete(close())
                loop.run_until_complete(asyncio.sleep(0))  # so that the transports hear of it
                loop.close()

        reply = await asyncio.to_thread(run)
        many = {k: v[-1] for k, v in (reply.get("multiValueHeaders") or {}).items()}
        return Answer(reply["statusCode"], {**many, **(reply.get("headers") or {})}, reply["body"].encode())

    return place


async def streaming(app: App, asked: Asked, close: Callable[[], Awaitable[None]]) -> Answer:
    async with runtime_api(http_api(asked)) as api:
        wire = lambda_runtime.RuntimeApi(api.address)
        await lambda_runtime.respond(app, wire, await wire.next())
        [posted] = api.posted
        return Answer(posted.prelude["statusCode"], posted.prelude["headers"], posted.streamed)


PLACES: dict[str, Place] = {
    "uvicorn": uvicorn,
    "http-api": mangum(http_api),
    "rest-api": mangum(rest_api),
    "alb": mangum(balancer),
    "streaming": streaming,
}
