"""JSON-RPC 2.0 messages, read strictly and written without touching what they carry.

A message is cut open one level deep: its parameters and results stay the bytes that came (`Raw`), so a number that
Python cannot hold, or an unknown member, passes as it was. What policies look at is the ordinary tree beside them.
Both must say the same, and so must whoever reads the bytes next: an object that names a member twice is refused.
Most clients write JSON in one way only, so that a tree that is written again and gives the same bytes proves it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from gateway.errors import UNREADABLE
from gateway.known import Known

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
RESOURCE_NOT_FOUND = -32002  # until 2025-11-25

DEPTH = 128
MEMBERS = 1000  # of a batch

# A request as most clients write it, the SDKs in the second order: nothing of its envelope can be there twice.
_ID, _METHOD, _PARAMS = rb'"id":(0|[1-9]\d{0,17})', rb'"method":"([a-zA-Z/]+)"', rb'"params":(\{.*\})'
_VERSION = rb'"jsonrpc":"2\.0"'
_USUAL = [
    (re.compile(rb"\{" + b",".join(parts) + rb"\}", re.DOTALL).fullmatch, order)
    for parts, order in (
        ((_VERSION, _ID, _METHOD, _PARAMS), itemgetter(0, 1, 2)),
        ((_METHOD, _PARAMS, _VERSION, _ID), itemgetter(2, 0, 1)),
    )
]
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"([ \t\r\n]*:)?', re.DOTALL)
_KNOWN = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_KNOWN_PARAMS = frozenset(
    {"name", "arguments", "uri", "_meta", "cursor", "ref", "argument", "context", "taskId"}
)
_LONGEST_ID = 10**19  # of an integer
_COURTESY = {"method": "tools/list"}  # what the documentation lets a bare curl send
_EMPTY: Mapping[str, Any] = {}


class RpcError(Exception):
    """A JSON-RPC error that the client is to see."""

    def __init__(self, code: int, message: str, data: Any = None, *, id: bytes = b"null") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.id = id


_NONE = Raw(b"")


class _Envelope(msgspec.Struct):
    id: Raw = _NONE
    method: str = ""
    params: Raw = _NONE
    result: Raw = _NONE
    error: Raw = _NONE


_envelope = msgspec.json.Decoder(_Envelope).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode

Members = dict[str, Raw]


class Message(msgspec.Struct):
    """A request (`method` and `id`), a notification (`method` only) or an answer (`id` with `result` or `error`)."""

    id: bytes = b""  # as JSON; b"" without one
    method: str = ""
    params: bytes = b""  # as JSON; b"" without any
    result: bytes = b""
    error: bytes = b""
    tree: Mapping[str, Any] = {}  # a client's parameters as a tree

    @property
    def is_request(self) -> bool:
        return bool(self.method and self.id)

    @property
    def meta(self) -> Mapping[str, Any]:
        meta = self.tree.get("_meta")
        return meta if meta and isinstance(meta, dict) else _EMPTY


def members(raw: bytes) -> Members:
    """The members of an object, each as it came."""
    try:
        return _members(raw) if raw else {}
    except UNREADABLE as exc:
        raise RpcError(INVALID_PARAMS, "params must be an object") from exc


def items(raw: bytes) -> list[Raw]:
    try:
        return _list(raw)
    except UNREADABLE as exc:
        raise ValueError("not a list") from exc


def join(parts: Mapping[str, Raw | bytes]) -> bytes:
    """An object from members that are JSON already."""
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(value) for name, value in parts.items()) + b"}"


def read_client(body: bytes) -> tuple[list[Message], bool]:
    """The messages of a client's POST, and whether they came as a batch. Raises RpcError."""
    usual = _usual(body)
    if usual is not None:
        return [usual], False
    tree = _strict(body)
    if isinstance(tree, list):
        if not tree or len(tree) > MEMBERS:
            raise RpcError(INVALID_REQUEST, f"a batch holds 1 to {MEMBERS} messages")
        return [_message(bytes(raw), part) for raw, part in zip(items(body), tree, strict=True)], True
    return [_message(body, tree)], False


def _usual(body: bytes) -> Message | None:
    """A request that needs no closer look."""
    for match, order in _USUAL:
        found = match(body)
        if found is None:
            continue
        ident, method, params = order(found.groups())
        try:
            tree = orjson.loads(params)
        except orjson.JSONDecodeError:
            return None
        if _shallow(params) and orjson.dumps(tree) == params and _KNOWN_PARAMS.issuperset(tree):
            return Message(ident, _text[method], params, tree=tree)
        return None
    return None


def _shallow(raw: bytes) -> bool:
    return raw.count(b"{") + raw.count(b"[") < DEPTH


def read_upstream(body: bytes) -> Message:
    """One message of an upstream: lenient, because only the envelope is ours to judge. Raises ValueError."""
    try:
        parts = _envelope(body)
    except UNREADABLE as exc:
        raise ValueError(f"not a JSON-RPC message: {exc}") from exc
    result, error = parts.result, parts.error
    return Message(
        bytes(parts.id),
        parts.method,
        bytes(parts.params) if parts.method else b"",
        b"" if result is _NONE else bytes(result),
        b"" if error is _NONE else bytes(error),
    )


def _strict(body: bytes) -> Any:
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RpcError(PARSE_ERROR, f"Parse error: {exc.msg}") from exc
    if _shallow(body) and orjson.dumps(tree) == body:
        return tree
    if _count(tree) != sum(map(bool, _STRING.findall(body))):
        raise RpcError(INVALID_REQUEST, "an object names a member twice")
    return tree


def _count(tree: Any) -> int:
    """How many members all objects have together, level by level, so that depth needs no recursion."""
    total, depth, level = 0, 0, [tree]
    while level:
        depth += 1
        if depth > DEPTH:
            raise RpcError(PARSE_ERROR, f"nested deeper than {DEPTH} levels")
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                total += len(node)
                below += [value for value in node.values() if type(value) is dict or type(value) is list]
            elif type(node) is list:
                below += [value for value in node if type(value) is dict or type(value) is list]
        level = below
    return total


def _message(raw: bytes, tree: Any) -> Message:
    if not isinstance(tree, dict):
        raise RpcError(INVALID_REQUEST, "a message is an object")
    if not tree.keys() <= _KNOWN:
        _no_variants(tree, _KNOWN)
    ident = _id(tree)
    if tree.get("jsonrpc") != "2.0":
        if tree == _COURTESY:
            return Message(b"null", "tools/list", tree={})
        raise RpcError(INVALID_REQUEST, 'jsonrpc must be "2.0"', id=ident or b"null")
    if "method" not in tree:
        return _answer(raw, tree, ident)
    method, params = tree["method"], tree.get("params", _EMPTY)
    if not isinstance(method, str) or not method:
        raise RpcError(INVALID_REQUEST, "method must be a string", id=ident or b"null")
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params must be an object", id=ident or b"null")
    if not params.keys() <= _KNOWN_PARAMS:
        _no_variants(params, _KNOWN_PARAMS)
    return Message(ident, method, bytes(_envelope(raw).params), tree=params)


def _answer(raw: bytes, tree: Mapping[str, Any], ident: bytes) -> Message:
    if not ident or ("result" in tree) == ("error" in tree):
        raise RpcError(INVALID_REQUEST, "neither a request nor an answer", id=ident or b"null")
    return read_upstream(raw)


def _id(tree: Mapping[str, Any]) -> bytes:
    if "id" not in tree:
        return b""
    value = tree["id"]
    if isinstance(value, str) and len(value) <= 512:
        return orjson.dumps(value)
    if type(value) is int and -_LONGEST_ID < value < _LONGEST_ID:
        return b"%d" % value
    raise RpcError(INVALID_REQUEST, "id must be a string or an integer")


def _no_variants(tree: Mapping[str, Any], known: frozenset[str]) -> None:
    """`Name` beside `name` is read as either by different parsers: refused, whichever of them is there."""
    for name in tree:
        if name not in known and name.lower() in known:
            raise RpcError(INVALID_REQUEST, f"unknown member {name!r}: names are case-sensitive")


def request(ident: bytes, method: str, params: bytes = b"") -> bytes:
    opening = _with_params[method] if params else _alone[method]
    return b"".join((b'{"jsonrpc":"2.0","id":', ident, opening, params, b"}"))


def notification(method: str, params: bytes = b"") -> bytes:
    opening = _with_params[method] if params else _alone[method]
    return b"".join((b'{"jsonrpc":"2.0"', opening, params, b"}"))


_text: Known[bytes, str] = Known(bytes.decode)
_alone: Known[str, bytes] = Known(lambda method: b',"method":' + orjson.dumps(method))
_with_params: Known[str, bytes] = Known(lambda method: _alone[method] + b',"params":')


def result(ident: bytes, value: bytes) -> bytes:
    return b"".join((b'{"jsonrpc":"2.0","id":', ident, b',"result":', value, b"}"))


def error(ident: bytes, value: bytes) -> bytes:
    return b"".join((b'{"jsonrpc":"2.0","id":', ident, b',"error":', value, b"}"))


def error_value(code: int, message: str, data: Any = None) -> bytes:
    value: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        value["data"] = data
    return orjson.dumps(value)
