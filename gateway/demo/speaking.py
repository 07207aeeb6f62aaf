"""A small MCP server as an ASGI app, in both eras: what the demo servers are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway import body as bodies
from gateway.errors import ClientGone, GatewayError
from gateway.mcp import eras, jsonrpc
from gateway.mcp.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Message, RpcError
from gateway.types import Receive, Scope, Send

_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}


class ToolFailed(Exception):
    """Said to the agent as the tool's result."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as a tool: its name, its first line of documentation and its annotations make the definition."""

    run: Callable[..., Any]
    title: str = ""
    read_only: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__

    def definition(self) -> dict[str, Any]:
        signature = inspect.signature(self.run, eval_str=True)
        parameters = {name: each.annotation for name, each in signature.parameters.items()}
        required = [name for name, each in signature.parameters.items() if each.default is each.empty]
        answer = signature.return_annotation
        structured = {} if answer is str else {"outputSchema": _object({"result": answer}, ["result"])}
        return {
            "name": self.name,
            "title": self.title,
            "description": inspect.getdoc(self.run) or "",
            "inputSchema": _object(parameters, required),
            **structured,
            "annotations": {"readOnlyHint": self.read_only},
        }

    def call(self, arguments: Any) -> dict[str, Any]:
        properties = self.definition()["inputSchema"]["properties"]
        if not isinstance(arguments, Mapping) or not set(arguments) <= set(properties):
            raise RpcError(INVALID_PARAMS, f"{self.name} takes {', '.join(properties) or 'nothing'}")
        try:
            answer = self.run(**arguments)
        except (ToolFailed, TypeError, ValueError, OSError) as exc:
            return {"content": [{"type": "text", "text": str(exc)}], "isError": True}
        # Gemini CLI takes a text that is JSON for the structured answer where there is none, and then wants an object.
        structured = {} if isinstance(answer, str) else {"structuredContent": {"result": answer}}
        return {"content": [{"type": "text", "text": str(answer)}], **structured, "isError": False}


def _object(members: Mapping[str, type], required: Sequence[str]) -> dict[str, Any]:
    properties = {name: {"type": _TYPES[each]} for name, each in members.items()}
    return {"type": "object", "properties": properties, "required": list(required)}


class SpeakingApp:
    """Answers MCP over HTTP without sessions: every request stands alone."""

    def __init__(self, name: str, tools: Sequence[Tool]) -> None:
        self._info = {"name": name, "version": "1.0"}
        self._tools = {tool.name: tool for tool in tools}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] != "POST":
            await _reply(send, 405, b"", [(b"allow", b"POST")])
            return
        try:
            status, body = self._answer(await bodies.read(scope, receive), scope["headers"])
        except ClientGone:
            return
        except (RpcError, GatewayError) as exc:
            code = exc.code if isinstance(exc, RpcError) else jsonrpc.INVALID_REQUEST
            status, body = 400, jsonrpc.error(b"null", jsonrpc.error_value(code, str(exc)))
        await _reply(send, status, body)

    def _answer(self, raw: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        messages, batch = jsonrpc.read_client(raw)
        version = next(
            (value.decode("latin-1") for name, value in headers if name == b"mcp-protocol-version"), ""
        )
        answers = [self._one(message, headers, version) for message in messages if message.is_request]
        if not answers:
            return 202, b""
        if batch:
            return 200, b"[" + b",".join(body for _, body in answers) + b"]"
        return answers[0]

    def _one(
        self, message: Message, headers: Sequence[tuple[bytes, bytes]], version: str
    ) -> tuple[int, bytes]:
        tree = message.tree or {}
        modern = eras.is_modern(tree, version)
        try:
            if modern:
                eras.check(message.method, tree, headers, version)
            result = self._result(message.method, tree, modern=modern)
        except RpcError as exc:
            error = jsonrpc.error(message.id, jsonrpc.error_value(exc.code, exc.message, exc.data))
            return eras.STATUS.get(exc.code, 400) if modern else 200, error
        return 200, jsonrpc.result(message.id, orjson.dumps(result))

    def _result(self, method: str, tree: Mapping[str, Any], *, modern: bool) -> dict[str, Any]:
        result = self._method(method, tree, modern=modern)
        if modern:
            result["resultType"] = "complete"
            if method != "tools/call":
                result |= {"ttlMs": 60_000, "cacheScope": "public"}
        return result

    def _method(self, method: str, tree: Mapping[str, Any], *, modern: bool) -> dict[str, Any]:
        if method == "tools/list":
            return {"tools": [tool.definition() for tool in self._tools.values()]}
        if method == "tools/call":
            tool = self._tools.get(str(tree.get("name")))
            if tool is None:
                raise RpcError(INVALID_PARAMS, f"Unknown tool: {tree.get('name')}")
            return tool.call(tree.get("arguments", {}))
        if method == "server/discover" and modern:
            meta = {eras.SERVER_INFO: self._info}
            return {"supportedVersions": [eras.MODERN], "capabilities": {"tools": {}}, "_meta": meta}
        if method == "initialize" and not modern:
            asked = tree.get("protocolVersion")
            version = asked if asked in eras.LEGACY else eras.LEGACY[0]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": self._info}
        if method == "ping" and not modern:
            return {}
        raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method}")


async def _reply(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
