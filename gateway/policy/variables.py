"""What rules, limits, labels and routing can read of a call and its operation.

`docs/policy.md` has the table of what exists in which phase. Everything is worked out when it is read, and not before.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson
from msgspec import Struct

from gateway.call import Call, Operation
from gateway.errors import ConfigError

Path = tuple[str, ...]
Phase = Literal["request", "record"]  # before an operation runs, and when it is written down


class Missing(Struct, frozen=True):
    """Nothing stands at a path; `depth` is how many of its names do exist."""

    depth: int


_MISSING = tuple(Missing(depth) for depth in range(64))
_ABSENT = _MISSING[0]
Getter = Callable[["Values"], Any]


class Values:
    """The variables of one operation: `Values(call, op).at(("jwt", "email"))`."""

    __slots__ = ("_request", "call", "op")

    def __init__(self, call: Call, op: Operation) -> None:
        self.call = call
        self.op = op
        self._request: dict[str, Any] | None = None

    def at(self, path: Path) -> Any:
        """The value at a path, or how far the path goes."""
        fields = FIELDS.get(path[0])
        if path == _MODEL and self.op.model:
            return self.op.model  # without parsing the body
        if fields is None:
            return _inside(_LEAVES[path[0]](self), path, 1)
        if not _exists(path[0], self.op):
            return _ABSENT
        if len(path) == 1:
            return self._whole(fields)
        getter = fields.get(path[1])
        return _MISSING[1] if getter is None else _inside(getter(self), path, 2)

    def _whole(self, fields: Mapping[str, Getter]) -> dict[str, Any]:
        whole = {name: getter(self) for name, getter in fields.items()}
        return {name: value for name, value in whole.items() if value is not _ABSENT}

    def llm_request(self) -> Any:
        """The request's own JSON, parsed once. Its model is the operation's: Gemini has it in the path."""
        if self._request is None:
            try:
                parsed = orjson.loads(self.call.body or b"{}")
            except orjson.JSONDecodeError:
                parsed = None
            self._request = parsed if isinstance(parsed, dict) else {}
            if self.op.model:
                self._request["model"] = self.op.model
        return self._request


_MODEL = ("llmRequest", "model")


def _exists(root: str, op: Operation) -> bool:
    return root not in ("mcp", "llm") or op.kind == root


def _inside(value: Any, path: Path, depth: int) -> Any:
    if value is _ABSENT:
        return _MISSING[depth - 1]
    for name in path[depth:]:
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING[min(depth, 63)]
        value, depth = value[name], depth + 1
    return value


def _now(values: Values) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(values.call.at, datetime.UTC)


def _text(values: Values) -> Any:
    return (values.call.body or b"").decode("utf-8", "replace")


def _subject(kind: str) -> Getter:
    def get(values: Values) -> Any:
        op = values.op
        if op.subject != kind:
            return _ABSENT
        found = {"name": op.name, "target": op.server, "server": op.server, "exposed": op.exposed}
        return {**found, "arguments": op.arguments} if kind == "tool" else found

    return get


def _model(values: Values) -> Any:
    return values.op.model or _ABSENT


def _usage(name: str) -> Getter:
    def get(values: Values) -> Any:
        usage = values.call.usage
        return _ABSENT if usage is None else getattr(usage, name)

    return get


def _or_absent(value: Any) -> Any:
    return _ABSENT if value is None or value == "" else value


def _header(name: str) -> Getter:
    return lambda v: v.call.headers.get(name, "")


FIELDS: dict[str, dict[str, Getter]] = {
    "request": {
        "id": lambda v: v.call.id,
        "method": lambda v: v.call.verb,
        "path": lambda v: v.call.path,
        "query": lambda v: v.call.query,
        "pathAndQuery": lambda v: v.call.path + ("?" + v.call.query if v.call.query else ""),
        "host": _header("host"),
        "headers": lambda v: v.call.headers,
        "ip": lambda v: v.call.ip,
        "body": _text,
        "route": lambda v: v.call.route,
        "dialect": lambda v: v.call.dialect,
    },
    "source": {"address": lambda v: v.call.ip},
    "principal": {
        "id": lambda v: v.call.principal.id,
        "kind": lambda v: v.call.principal.kind,
        "name": lambda v: v.call.principal.name,
        "groups": lambda v: list(v.call.principal.groups),
        "scopes": lambda v: sorted(v.call.principal.scopes),
    },
    "session": {"id": lambda v: _or_absent(v.call.attribution.session)},
    "llm": {
        "model": _model,
        "requestModel": _model,
        "operation": lambda v: v.op.method,
        "stream": lambda v: v.op.stream,
        "streaming": lambda v: v.op.stream,
        "maxTokens": lambda v: _or_absent(v.op.max_tokens),
        "provider": lambda v: _or_absent(v.call.provider),
        "responseModel": lambda v: _or_absent(v.call.upstream_model),
        "inputTokens": _usage("input"),
        "outputTokens": _usage("output"),
    },
    "mcp": {
        "method": lambda v: _or_absent(v.op.method),
        "methodName": lambda v: _or_absent(v.op.method),
        "sessionId": _header("mcp-session-id"),
        "tool": _subject("tool"),
        "prompt": _subject("prompt"),
        "resource": _subject("resource"),
        "task": _subject("task"),
    },
}

_LEAVES: dict[str, Getter] = {
    "jwt": lambda v: v.call.principal.claims if v.call.principal.claims is not None else _ABSENT,
    "key": lambda v: v.call.principal.key if v.call.principal.key is not None else _ABSENT,
    "apiKey": lambda v: v.call.principal.key if v.call.principal.key is not None else _ABSENT,
    "llmRequest": lambda v: v.llm_request() if v.op.kind == "llm" else _ABSENT,
    "agent": lambda v: v.call.attribution.agent,
    "user": lambda v: v.call.attribution.user,
    "project": lambda v: v.call.attribution.project,
    "now": _now,
    "time": _now,
}

ROOTS = frozenset(FIELDS) | frozenset(_LEAVES)

_TEXTS = frozenset({"agent", "user", "project"})
_SUBJECTS = ("tool", "prompt", "resource", "task")
_SUBJECT_FIELDS = ("name", "target", "server", "exposed")
# Known only when an operation is over.
_LATER: frozenset[Path] = frozenset(
    ("llm", name) for name in ("provider", "responseModel", "inputTokens", "outputTokens")
)


def check(path: Path, phase: Phase = "request") -> None:
    """Raises ConfigError where nothing can ever stand at this path in this phase."""
    if path[0] in _TEXTS and len(path) > 1:
        raise ConfigError(f"{'.'.join(path)} does not exist: {path[0]} is a text")
    fields = FIELDS.get(path[0])
    if fields is None or len(path) == 1:
        return
    _known(path, 1, fields)
    if path[0] == "mcp" and path[1] in _SUBJECTS and len(path) > 2:
        _known(path, 2, (*_SUBJECT_FIELDS, "arguments") if path[1] == "tool" else _SUBJECT_FIELDS)
    if phase == "request" and path[:2] in _LATER:
        raise ConfigError(f"{'.'.join(path[:2])} is known only when a call is over: it can stand in labels, not in rules")  # fmt: skip


def _known(path: Path, depth: int, names: Mapping[str, Any] | tuple[str, ...]) -> None:
    if path[depth] not in names:
        import difflib

        near = difflib.get_close_matches(path[depth], names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names))}"
        raise ConfigError(f"{'.'.join(path)} does not exist: {hint}")
