"""An HTTP API for tests: it answers what it is told to, and records what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.mcp.app import MCPApp
from gateway.mcp.openapi.upstream import OpenApiUpstream
from gateway.mcp.server import Server
from gateway.net.pool import Pool
from gateway.types import Receive, Scope, Send
from tests.mcp.servers import served

OK: dict[str, Any] = {"responses": {"200": {"description": "fine"}}}


def parameter(name: str, place: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {"type": "string"}, **more}


def body(schema: Any, media: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}, **more}


def document(paths: Mapping[str, Any], *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "Pets", "version": "1"}, "paths": paths, **more}


PET = {"type": "object", "required": ["id", "name"], "properties": {
    "id": {"type": "integer", "readOnly": True}, "name": {"type": "string"},
    "mother": {"$ref": "#/components/schemas/Pet"}}}  # fmt: skip
PETS: dict[str, Any] = {
    "/pets": {
        "get": {"operationId": "listPets", "summary": "List pets", "description": "All of them.",
                "parameters": [parameter("limit", schema={"type": "integer"}), parameter("tag", schema={"type": "array"})], **OK},
        "post": {"operationId": "createPet", "requestBody": body({"$ref": "#/components/schemas/Pet"}, required=True), **OK},
    },
    "/pets/{petId}": {
        "parameters": [parameter("petId", "path", required=True)],
        "get": {"operationId": "getPet", **OK},
        "put": {"operationId": "replacePet", "requestBody": body({"type": "object"}), **OK},
        "delete": OK,
    },
}  # fmt: skip
SCHEMAS = {"components": {"schemas": {"Pet": PET}}}


def one(**operation: Any) -> dict[str, Any]:
    return {"/x": {"get": {"operationId": "x", **operation, **OK}}}


def said(result: dict[str, Any]) -> str:
    assert len(result["content"]) == 1
    return str(result["content"][0]["text"])


@dataclass
class Request:
    method: str
    target: str  # the path as it came, with its query
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """Every request is answered with the same; `hang` answers none."""

    status: int = 200
    kind: str = "application/json"
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    asked: list[Request] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given, more = b"", True
        while more:
            message = await receive()
            given += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope["query_string"].decode()
        headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
        target = scope["raw_path"].decode() + (f"?{query}" if query else "")
        self.asked.append(Request(scope["method"], target, headers, given))
        if self.hang:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        said = {"content-type": self.kind, **self.headers} if self.kind else self.headers
        head = [(k.encode(), v.encode()) for k, v in said.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


@asynccontextmanager
async def behind(
    api: Api, paths: Mapping[str, Any], *, options: Mapping[str, Any] | None = None, server: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None, **app: Any,
) -> AsyncIterator[MCPApp]:  # fmt: skip
    """A gateway before the API: `options` go to the upstream, `server` to its Server, `more` into the document."""
    async with served(api) as url:
        pool = Pool(proxies=None)
        described = orjson.loads(orjson.dumps(document(paths, **(more or {}))))
        given = {"url": url.replace("/mcp", "/v1"), "timeout": 5.0, **(options or {})}
        upstream = OpenApiUpstream("pets", described, client=pool, **given)
        try:
            yield MCPApp([Server(upstream, **(server or {}))], **app)
        finally:
            await pool.close()
