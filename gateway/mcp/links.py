"""URIs inside results, as the client knows them: what a tool or prompt links to can be read under the name that it is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson
from msgspec import Raw

from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Members

Shown = Callable[[str], str]


def outward(raw: bytes, shown: Shown) -> bytes:
    """At the places where the protocol has URIs of resources: contents, links, embedded resources."""
    parts = jsonrpc.members(raw)
    for key, change in (("contents", _uri), ("content", _block), ("messages", _message)):
        if bytes(parts.get(key, b"")).startswith(b"["):
            parts[key] = _each(parts[key], partial(change, shown=shown))
    return jsonrpc.join(parts)


def _each(items: Raw, change: Callable[[Members], Members]) -> Raw:
    return Raw(b"[" + b",".join(_object(each, change) for each in jsonrpc.items(bytes(items))) + b"]")


def _object(raw: Raw, change: Callable[[Members], Members]) -> bytes:
    text = bytes(raw)
    return jsonrpc.join(change(jsonrpc.members(text))) if text.startswith(b"{") else text


def _message(message: Members, shown: Shown) -> Members:
    return _within(message, "content", lambda block: _block(block, shown))


def _block(block: Members, shown: Shown) -> Members:
    kind = bytes(block.get("type", b""))
    if kind == b'"resource_link"':
        return _uri(block, shown)
    if kind == b'"resource"':
        return _within(block, "resource", lambda resource: _uri(resource, shown))
    return block


def _within(parts: Members, key: str, change: Callable[[Members], Members]) -> Members:
    return {**parts, key: Raw(_object(parts[key], change))} if key in parts else parts


def _uri(parts: Members, shown: Shown) -> Members:
    raw = bytes(parts.get("uri", b""))
    return {**parts, "uri": Raw(orjson.dumps(shown(orjson.loads(raw))))} if raw.startswith(b'"') else parts
