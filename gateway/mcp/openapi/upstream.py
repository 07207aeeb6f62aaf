"""An upstream that speaks no MCP: the operations of an HTTP API, as its OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from gateway.call import Call
from gateway.errors import UNREADABLE, ConfigError, UpstreamError
from gateway.mcp import eras, jsonrpc
from gateway.mcp.openapi import answer
from gateway.mcp.openapi.document import Document, Wrong
from gateway.mcp.openapi.operations import Found, read
from gateway.mcp.openapi.request import Request, Unfit, request
from gateway.mcp.openapi.tool import Operation
from gateway.mcp.peer import Peer
from gateway.mcp.upstream import Answer, Ask, BadStatus, Credential, Ear, Hello
from gateway.net.client import Client, Response, Timeouts, header
from gateway.types import Headers

LARGEST = 16 * 1024 * 1024  # bytes of an answer
_TOLD = 20  # problems of one document
_TTL = 60_000  # milliseconds for which a client may keep the list
_OURS: Headers = [
    (b"accept", b"application/json, text/*;q=0.9, */*;q=0.5"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", b"asgi-gateway"),
]
_arguments = msgspec.json.Decoder(dict[str, Any]).decode


class OpenApiUpstream:
    """`document` is an OpenAPI document of 3.0 or 3.1 as plain data; `url` stands for the servers that it names. `operations`
    are operation ids or globs of them, all where it is empty. `supplied` are headers that `auth` brings, which no caller is
    asked for. A status in `repeated` is a failure that is worth another attempt, not an answer.

    Nothing is asked of the API before the first call. Raises ConfigError, with a line for each thing that is wrong.
    """

    per_caller = False

    def __init__(
        self,
        name: str,
        document: Mapping[str, Any],
        *,
        client: Client,
        url: str = "",
        operations: Sequence[str] = (),
        forward: Collection[str] = (),
        auth: Credential | None = None,
        supplied: Collection[str] = (),
        repeated: Collection[int] = (),
        timeout: float = 30.0,
    ) -> None:
        self.name = name
        self._client = client
        self._forward = [each.lower() for each in forward]
        self._auth = auth
        self._repeated = frozenset(repeated)
        self._timeouts = Timeouts(connect=min(10.0, timeout), first_byte=timeout, idle=timeout, total=timeout)
        hidden = {*self._forward, *(each.lower() for each in supplied)}
        self._base, found = _read(document, url, operations, hidden)
        self.left_out = found.left_out
        self._operations = found.operations
        self._hello = _hello(document)
        self._tools = _listed(found.operations.values())

    async def hello(self, call: Call, peer: Peer) -> Hello:
        return self._hello

    async def join(self, call: Call, peer: Peer) -> str:
        return ""

    async def leave(self, call: Call, peer: Peer) -> None:
        """An API has no sessions."""

    async def ask(self, ask: Ask, ear: Ear) -> Answer:
        if ask.method == "tools/list":
            return Answer(self._tools, modern=True)
        operation = self._operations.get(ask.name) if ask.method == "tools/call" else None
        if operation is None:
            error = jsonrpc.error_value(jsonrpc.METHOD_NOT_FOUND, f"Method not found: {ask.method}")
            return Answer(error=error, modern=True)
        try:
            asked = _request(operation, ask)
        except Unfit as exc:
            return Answer(answer.failure(f"The tool was not called: {exc}."), modern=True)
        return Answer(await self._answered(ask, asked), modern=True)

    async def tell(self, call: Call, peer: Peer, message: bytes) -> None:
        """An API is told nothing."""

    async def listen(self, call: Call, peer: Peer, wanted: Mapping[str, Any], ear: Ear, after: str) -> None:
        """An API says nothing on its own account."""

    async def close(self) -> None:
        """The client's pool belongs to whoever made it."""

    async def _answered(self, ask: Ask, asked: Request) -> bytes:
        response = await self._client.send(
            asked.method,
            self._base + asked.target,
            headers=await self._headers(ask, asked.headers),
            body=asked.body,
            timeouts=self._timeouts,
        )
        try:
            if response.status in self._repeated:
                raise BadStatus(self.name, response.status)
            body = await response.read(LARGEST)
        finally:
            response.close()
        _check_packed(self.name, response)
        kind = header(response.headers, b"content-type").decode("latin-1")
        return answer.result(response.status, kind, body)

    async def _headers(self, ask: Ask, asked: Headers) -> Headers:
        """What is the gateway's to say is never an argument's."""
        call = ask.call
        own = dict(_OURS)
        if ask.traceparent:
            own[b"traceparent"] = ask.traceparent.encode()
        for name in self._forward:
            if name in call.headers:
                own[name.encode()] = call.headers[name].encode("latin-1")
        if self._auth is not None:
            own |= await self._auth.headers(call)
        return [*(dict(asked) | own).items()]


def _read(
    document: Mapping[str, Any], url: str, wanted: Sequence[str], hidden: Collection[str]
) -> tuple[str, Found]:
    problems: list[str] = []
    base = ""
    try:
        opened = Document(document)
    except Wrong as exc:
        raise ConfigError(str(exc)) from None
    try:
        base = opened.base(url)
    except Wrong as exc:
        problems.append(str(exc))
    found = read(opened, wanted=wanted, supplied=hidden, based=bool(url))
    problems += found.problems
    if problems:
        more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        raise ConfigError("\n".join(problems[:_TOLD] + more))
    return base, found


def _hello(document: Mapping[str, Any]) -> Hello:
    said = document.get("info")
    info = {
        "name": str(said.get("title", "")) if isinstance(said, Mapping) else "",
        "version": str(said.get("version", "")) if isinstance(said, Mapping) else "",
    }
    return Hello(True, eras.MODERN, {"tools": {}}, info)


def _listed(operations: Collection[Operation]) -> bytes:
    tools = [operation.tool for operation in operations]
    return orjson.dumps({"resultType": "complete", "tools": tools, "ttlMs": _TTL, "cacheScope": "public"})


def _request(operation: Operation, ask: Ask) -> Request:
    """Raises Unfit."""
    given = ask.params.get("arguments")
    raw = bytes(given) if given is not None else b"{}"
    try:
        arguments = _arguments(raw)
    except UNREADABLE:
        raise Unfit("arguments must be an object") from None
    return request(operation, arguments, jsonrpc.members(raw))


def _check_packed(server: str, response: Response) -> None:
    packed = header(response.headers, b"content-encoding").decode("latin-1").strip().lower()
    if packed not in ("", "identity"):
        raise UpstreamError(f"server {server!r} sent a packed answer ({packed}), which it was asked not to")
