"""A past call as rules see calls: what was written down of it, and what was not.

A rule that reads something masked or not written down cannot be decided afterwards. It is then `undecidable`, not false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import structs

from gateway.call import Attribution, Call, Operation, Principal
from gateway.policy.cel import Expression
from gateway.policy.errors import CelError
from gateway.policy.possible import ABSENT, EITHER, ERROR, TRUE, Outcomes, Part
from gateway.policy.rules import foreign
from gateway.policy.variables import Missing, Path, Values
from gateway.telemetry.audit import CLAIMS, HEADERS
from gateway.telemetry.masking import MASKED, Masking, credential
from gateway.telemetry.recent import Seen

Answer = Literal["true", "false", "undecidable", "error", "does not apply"]
_UNWRITTEN: frozenset[Path] = frozenset({
    ("request",), ("request", "body"), ("request", "query"), ("request", "pathAndQuery"), ("request", "host"), ("request", "method"),
    ("llm", "maxTokens"), ("llm", "stream"), ("llm", "streaming"), ("mcp", "sessionId"),
})  # fmt: skip

_USUAL: Mapping[str, Sequence[str]] = {"claims": CLAIMS, "headers": HEADERS}
_PRIVATE: frozenset[Path] = frozenset(
    {("request",), ("request", "body"), ("request", "query"), ("request", "pathAndQuery")}
)


@dataclass(frozen=True, slots=True)
class Past:
    """A call and its operation as far as they are known; `knows` says of a path whether it can be relied upon."""

    call: Call
    op: Operation
    knows: Callable[[Path], bool]


def of_seen(seen: Seen, masking: Masking) -> Past:
    """From this process' memory. What may not be shown cannot be asked for either: an answer would tell it bit by bit."""
    record = seen.records[0]
    op = seen.operation or _operation(record_fields(record), None)
    arguments = op.arguments if op.arguments is not None else record.arguments
    op = structs.replace(op, arguments=None if arguments is None else masking(arguments))
    call = Call(
        id=seen.id, at=seen.at, started=seen.started, path=seen.path, verb=seen.verb, dialect=seen.dialect, ip=seen.ip,
        headers=seen.headers, route=seen.route, principal=seen.principal, operation=op,
        attribution=Attribution(record.user, record.agent, record.project, record.session),
    )  # fmt: skip
    return Past(call, op, lambda path: _remembered(path, op))


def _remembered(path: Path, op: Operation) -> bool:
    if path[:2] in _PRIVATE or (path[0] == "llmRequest" and path[1:2] != ("model",)):
        return False
    if path[:2] == ("request", "headers"):
        return len(path) > 2 and not credential(path[2])
    if path[0] in ("key", "apiKey"):
        return path[1:2] == ("id",)
    if path[:2] == ("mcp", "tool") and path[2:3] in ((), ("arguments",)):
        return _unmasked(op.arguments, path[3:])
    return True


def of_line(line: Mapping[str, Any]) -> Past:
    """From a line of the audit."""
    caller = line.get("caller", {})
    principal = Principal(
        caller.get("id", ""), caller.get("kind", "anonymous"), caller.get("name", ""),
        tuple(caller.get("groups", ())), frozenset(caller.get("scopes", ())), caller.get("claims"),
        {"id": caller["key"]} if caller.get("key") else None,
    )  # fmt: skip
    op = _operation(line, line.get("arguments"))
    call = Call(
        id=line.get("call", ""), at=line["at"], started=0, path=line.get("path", ""), ip=line.get("ip", ""),
        dialect=line.get("dialect", "http"), headers=line.get("headers", {}), route=line.get("route", ""), principal=principal, operation=op,
        attribution=Attribution(*(line.get(name, "") for name in ("user", "agent", "project", "session"))),
    )  # fmt: skip
    return Past(call, op, lambda path: _written(path, line))


def record_fields(record: Any) -> dict[str, Any]:
    names = ("kind", "method", "model", "server", "tool", "exposed", "tool_use_id")
    return {name: getattr(record, name) for name in names}


def _operation(line: Mapping[str, Any], arguments: Any) -> Operation:
    tool = line.get("tool", "")
    return Operation(
        line.get("kind", "http"), line.get("method", ""), model=line.get("model", ""),
        subject="tool" if tool else None, server=line.get("server", ""), name=tool,
        exposed=line.get("exposed", "") or tool, arguments=arguments, tool_use_id=line.get("tool_use_id", ""),
    )  # fmt: skip


def _written(path: Path, line: Mapping[str, Any]) -> bool:
    if path[:2] in _UNWRITTEN or (path[0] == "llmRequest" and path[1:2] != ("model",)):
        return False
    kept = line.get("kept", _USUAL)
    if path[:2] == ("request", "headers"):
        return len(path) > 2 and path[2].lower() in kept["headers"]
    if path[0] == "jwt":
        return "claims" not in line.get("caller", {}) or (len(path) > 1 and path[1] in kept["claims"])
    if path[0] in ("key", "apiKey"):
        return not line.get("caller", {}).get("key") or path[1:2] == ("id",)
    if path[:2] == ("mcp", "tool") and path[2:3] in ((), ("arguments",)):
        return _unmasked(line.get("arguments"), path[3:])
    return True


def _unmasked(value: Any, path: Sequence[str]) -> bool:
    for name in path:
        if value == MASKED:
            return False
        if not isinstance(value, Mapping) or name not in value:
            return value is not None
        value = value[name]
    return not any(_altered(text) for text in _texts(value))


def _altered(text: str) -> bool:
    return MASKED in text or "… (+" in text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


class Known(Values):
    """The variables of a past call: what is not known has no value, as if it were still to come."""

    __slots__ = ("_knows",)

    def __init__(self, past: Past) -> None:
        super().__init__(past.call, past.op)
        self._knows = past.knows

    def at(self, path: Path) -> Any:
        return super().at(path) if self._knows(path) else Missing(min(1, len(path) - 1))


def shown(path: Path, past: Past) -> str:
    """What a rule read there, for people."""
    if not past.knows(path):
        return "unknown"
    found = Known(past).at(path)
    return "absent" if isinstance(found, Missing) else repr(found)[:200]


def unknown(expression: Expression, past: Past) -> list[str]:
    """What this expression reads and nobody wrote down."""
    return [".".join(path) for path in expression.reads if not past.knows(path)]


def outcomes(part: Part, past: Past) -> Outcomes:
    """Everything that the expression could have been, whatever stood where nothing is known."""

    def valueless(reads: tuple[Path, ...], values: Values) -> Outcomes:
        if foreign(reads, past.op) or not all(past.knows(read) for read in reads):
            return EITHER
        principal = past.call.principal
        bare = {"jwt": principal.claims, "key": principal.key, "apiKey": principal.key}
        return ABSENT if any(read[0] in bare and bare[read[0]] is None for read in reads) else ERROR

    return part.outcomes(Known(past), valueless)


def answer(expression: Expression, past: Past) -> tuple[Answer, str]:
    """What the expression says of the past call, and why where it says nothing."""
    found = outcomes(Part(expression), past)
    if len(found) > 1:
        lost = unknown(expression, past)
        if not lost:
            return "does not apply", "it reads what this kind of call does not have"
        return "undecidable", f"not written down, or masked: {', '.join(lost)}"
    if found <= {"true", "false"}:
        return ("true", "") if found == TRUE else ("false", "")
    if absent := [".".join(path) for path in expression.reads if shown(path, past) == "absent"]:
        return "error", f"absent in this call: {', '.join(absent)}"
    try:
        expression.holds(Known(past))
    except CelError as error:
        return "error", str(error)
    return "error", ""
