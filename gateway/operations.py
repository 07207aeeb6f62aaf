"""What a request asks for, read from its body once and only as far as policies need it.

The bytes travel on as they came, so what is authorised here must be what any upstream will read in them: a body that says
a thing twice, or in another spelling, is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import repeat
from typing import Annotated, Any

import msgspec

from gateway import body as bodies
from gateway import endpoints
from gateway.call import Call, Operation
from gateway.errors import BadRequest
from gateway.known import LONGEST, MOST, Known
from gateway.types import Receive, Scope

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
LONGEST_MODEL = 2048  # prices, traces and the ledger keep names
# Nobody is owed tokens, and nobody has more of them than a number holds exactly.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_scalars: dict[type, Any] = {
    kind: msgspec.json.Decoder((_Count if kind is int else kind) | None).decode
    for kind in (str, int, bool, object)
}
_UNCHARGED = frozenset({"count_tokens", "models", "model"})
_SUBJECTS = {"tools/call": "tool", "prompts/get": "prompt", "resources/read": "resource"}
_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_SCALARS = ("stream", *sorted(_LIMITS))
_READ = frozenset({"model", *_SCALARS})
_NOTHING = msgspec.Raw()
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


async def of(call: Call, scope: Scope, receive: Receive) -> Operation:
    """The operation of a request that holds one; the next one finds it on the call, with the body. Raises BadRequest where
    the body is none of the dialect's."""
    data = call.body if call.body is not None else await bodies.read(scope, receive)
    if call.operation is None:
        if data and call.endpoint is not None and "content-encoding" in call.headers:
            bodies.readable(call)
        call.operation = _read(call.endpoint, call.verb, data)
    return call.operation


def _read(endpoint: endpoints.Endpoint | None, method: str, body: bytes) -> Operation:
    if endpoint is not None:
        return _llm(endpoint, method, body)
    if method == "POST" and b'"method"' in body:
        return _mcp(body)
    return Operation("http", method, charged=method not in ("GET", "HEAD", "OPTIONS"))


def _llm(endpoint: endpoints.Endpoint, method: str, body: bytes) -> Operation:
    if len(endpoint.model) > LONGEST_MODEL:
        raise _too_long()
    name, charged = endpoint.method, endpoint.method not in _UNCHARGED
    if name in ("models", "model") or method != "POST":  # a wrong method is the app's to refuse
        return Operation("llm", name, False, endpoint.model)
    fields = members(body)
    if endpoint.dialect == "gemini":
        config = members(fields["generationConfig"]) if "generationConfig" in fields else {}
        limit = _value(config, "maxOutputTokens", int)
        return Operation("llm", name, charged, endpoint.model, endpoint.stream, limit)
    own = _NOTHING if endpoint.model else fields.get("model", _NOTHING)
    said = _said[b"\0".join((own, *map(fields.get, _SCALARS, repeat(_NOTHING))))]
    model = endpoint.model or said.model
    if not model:
        raise BadRequest("model: field required")
    if len(model) > LONGEST_MODEL:
        raise _too_long()
    return Operation("llm", name, charged, model, endpoint.stream or said.stream, said.limit)


def _too_long() -> BadRequest:
    return BadRequest(f"model: a name of more than {LONGEST_MODEL} characters")


class _Said(msgspec.Struct, frozen=True):
    """The members that policies need. Most clients say the same with every request."""

    model: str
    stream: bool
    limit: int | None


def _read_scalars(raws: bytes) -> _Said:
    parts = raws.split(b"\0")  # which stands nowhere in JSON
    fields = {key: msgspec.Raw(raw) for key, raw in zip(("model", *_SCALARS), parts, strict=True) if raw}
    limits = [_value(fields, key, int) or 0 for key in _LIMITS.intersection(fields)]
    model, stream = _value(fields, "model", str), _value(fields, "stream", bool)
    return _Said(model or "", bool(stream), max(limits, default=0) or None)


_said: Known[bytes, _Said] = Known(_read_scalars)


def members(body: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, each still as its bytes; refuses duplicate keys and other spellings of those read."""
    try:
        fields = _members(body)
    except _BROKEN as error:
        said = f"is not a JSON object: {error}" if len(body) else "is empty; a JSON object is expected"
        raise BadRequest(f"the request body {said}") from None
    # The length of these members written without a space: a body of this length can hold nothing else.
    compact = 1 + sum(map(len, fields)) + sum(map(len, fields.values())) + 4 * len(fields)
    if len(body) != compact and not _whole(bytes(body), fields):
        raise BadRequest("the request body holds a key twice, or a key with escaped quotes")
    if not _spelt.issuperset(fields):
        _check_spelling(fields)
    return fields


_spelt: set[str] = set()  # keys that were checked


def _check_spelling(keys: Collection[str]) -> None:
    for key in keys:
        if key not in _READ and key.lower() in _READ:
            raise BadRequest(f"{key}: unknown field; did you mean {key.lower()}?")
    if len(_spelt) + len(keys) <= MOST and max(map(len, keys)) <= LONGEST:
        _spelt.update(keys)


def _whole(text: bytes, fields: dict[str, msgspec.Raw]) -> bool:
    """Every quote belongs to a key or to a value that was kept; those of a key that was overwritten are missing."""
    return text.count(b'"') == 2 * len(fields) + sum(bytes(raw).count(b'"') for raw in fields.values())


def _value(fields: dict[str, msgspec.Raw], key: str, kind: type) -> Any:
    raw = fields.get(key)
    if raw is None:
        return None
    try:
        return _scalars[kind](raw)
    except _BROKEN as error:
        raise BadRequest(f"{key}: {error}".replace(" | null", "")) from None


def _mcp(body: bytes) -> Operation:
    """One JSON-RPC message in front of somebody else's MCP server. MCPApp reads its own, strictly."""
    fields = members(body)
    method = _value(fields, "method", str) or ""
    params = members(fields["params"]) if "params" in fields else {}
    name = _value(params, "uri" if method == "resources/read" else "name", str) or ""
    subject = _SUBJECTS.get(method)
    arguments = _value(params, "arguments", object) if subject == "tool" else None
    return Operation("mcp", method, charged=subject is not None, subject=subject,  # type: ignore[arg-type]
                     name=name, exposed=name, arguments=arguments)  # fmt: skip
