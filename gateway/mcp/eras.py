"""The two eras of the protocol: which revision a request speaks, and what a request of the modern one must prove.

Legacy (2024-11-05 to 2025-11-25): a session begins with `initialize`. Modern (2026-07-28): every request says in `_meta`
which revision it speaks and what its client can do, and mirrors method and name into headers, which must agree.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, RpcError

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
ASSUMED = "2025-03-26"  # a request without session and version header
SUPPORTED = (MODERN, *LEGACY)

VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
RESERVED = "io.modelcontextprotocol/"

NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
         "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId", "tasks/result": "taskId"}  # fmt: skip
LEGACY_ONLY = frozenset(
    {
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
    }
)
MODERN_ONLY = frozenset({"server/discover", "subscriptions/listen", "tasks/update"})
STATUS = {jsonrpc.PARSE_ERROR: 400, jsonrpc.INVALID_REQUEST: 400, INVALID_PARAMS: 400, HEADER_MISMATCH: 400,
          jsonrpc.MISSING_CAPABILITY: 400, UNSUPPORTED_VERSION: 400, jsonrpc.METHOD_NOT_FOUND: 404}  # fmt: skip
# A server that answers `server/discover` with one of these speaks the modern era.
RECOGNISED = frozenset({HEADER_MISMATCH, jsonrpc.MISSING_CAPABILITY, UNSUPPORTED_VERSION})

_ROUTING = frozenset({b"mcp-protocol-version", b"mcp-method", b"mcp-name"})
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PRIMITIVE = frozenset({"string", "integer", "boolean"})


HeaderParameters = dict[tuple[str, ...], str]  # path of an argument → the header's own name


def is_modern(tree: Mapping[str, Any], header: str) -> bool:
    """`_meta` names a revision, or the header names one that no session ever had."""
    meta = tree.get("_meta")
    if meta and isinstance(meta, Mapping) and VERSION in meta:
        return True
    return header >= MODERN and header not in LEGACY


def check(
    method: str, tree: Mapping[str, Any], headers: Sequence[tuple[bytes, bytes]], version_header: str
) -> None:
    """The ladder of the modern era; the first rung that fails is the answer. Raises RpcError."""
    mirrored = _mirrored(headers)
    meta = tree.get("_meta")
    if not isinstance(meta, Mapping):
        raise RpcError(INVALID_PARAMS, f"params._meta must hold {VERSION} and {CAPABILITIES}")
    missing = [key for key in (VERSION, CAPABILITIES) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}")
    _check_mirrors(method, tree, mirrored, version_header)
    if meta[VERSION] != MODERN:
        data = {"supported": [MODERN], "requested": meta[VERSION]}
        raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", data)
    if not isinstance(meta[CAPABILITIES], Mapping):
        raise RpcError(INVALID_PARAMS, f"{CAPABILITIES} must be an object")


def _mirrored(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _ROUTING:
            if name in found:
                raise RpcError(HEADER_MISMATCH, "an Mcp routing header appears more than once")
            found[name] = value.strip(b" \t").decode("latin-1")
    return found


def _check_mirrors(
    method: str, tree: Mapping[str, Any], mirrored: Mapping[bytes, str], version_header: str
) -> None:
    if version_header != tree["_meta"][VERSION]:
        raise RpcError(HEADER_MISMATCH, "Header mismatch: MCP-Protocol-Version does not match the body")
    if mirrored.get(b"mcp-method") != method:
        raise RpcError(HEADER_MISMATCH, "Header mismatch: Mcp-Method does not match the body's method")
    key = NAMED.get(method)
    if key and tree.get(key) is not None and decode_header(mirrored.get(b"mcp-name")) != tree[key]:
        raise RpcError(HEADER_MISMATCH, f"Header mismatch: Mcp-Name does not match the body's {key}")


def encode_header(value: str) -> str:
    """A value as a header: plain where it survives the way, otherwise base64 in its marks."""
    if _PLAIN.fullmatch(value) and value == value.strip() and not _SENTINEL.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode_header(value: str | None) -> str | None:
    """The value of a header; None where it is not well encoded, so that it matches nothing."""
    match = _SENTINEL.fullmatch(value) if value is not None else None
    if match is None:
        return value
    try:
        decoded = base64.b64decode(match[1], validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == match[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


@lru_cache(maxsize=4096)
def mirrors(method: str, name: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that a modern request upstream carries."""
    headers = (
        (b"mcp-protocol-version", MODERN.encode()),
        (b"mcp-method", method.encode("latin-1", "replace")),
    )
    return (*headers, (b"mcp-name", encode_header(name).encode())) if method in NAMED else headers


def _positions(schema: Any) -> Iterator[tuple[tuple[str, ...] | None, Mapping[str, Any]]]:
    """Every place in a schema that may hold `x-mcp-header`, with its path of `properties`; None off that path."""
    stack: list[tuple[tuple[str, ...] | None, Any]] = [((), schema)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack += [(None, value) for value in node]
        if not isinstance(node, Mapping):
            continue
        yield path, node
        for key, value in node.items():
            if key == "properties" and isinstance(value, Mapping):
                stack += [((*path, name) if path is not None else None, sub) for name, sub in value.items()]
            elif key in {"patternProperties", "dependentSchemas", "$defs", "definitions"}:
                stack += [(None, sub) for sub in value.values()] if isinstance(value, Mapping) else []
            elif key not in {"default", "examples", "const", "enum"}:
                stack.append((None, value))


def header_parameters(schema: Any) -> HeaderParameters:
    """Which argument is mirrored into which `Mcp-Param-…` header. Raises ValueError: such a tool must not be shown."""
    found: HeaderParameters = {}
    for path, node in _positions(schema):
        if "x-mcp-header" not in node:
            continue
        token = node["x-mcp-header"]
        if not path or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ValueError("x-mcp-header is misplaced or not a header name")
        kind = node.get("type")
        if not isinstance(kind, str) or kind not in _PRIMITIVE:
            raise ValueError("x-mcp-header is for strings, integers and booleans")
        if token.lower() in {other.lower() for other in found.values()}:
            raise ValueError(f"x-mcp-header {token!r} is used twice")
        found[path] = token
    return found


def parameter_headers(parameters: HeaderParameters, arguments: Any) -> list[tuple[bytes, bytes]]:
    headers = []
    for path, token in parameters.items():
        value = arguments
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, str | int):
            headers.append((f"mcp-param-{token.lower()}".encode(), encode_header(str(value)).encode()))
    return headers
