"""What a decision rests on, as few short values, so that one made before is found again by one look-up.

A rule that only asks who calls, for which model or tool, and from where, says the same whenever these are the same. A rule
that reads a body, the arguments of a tool, a header or the time may say something new with every call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, TypeVar

from gateway.call import Call, Operation, Principal
from gateway.policy.variables import Path

REMEMBERED = 2048  # decisions
LONG = 1024  # a longer text is not worth a place among them
D = TypeVar("D")
Decide = Callable[[Call, Operation], D]

_CALLER = frozenset({"principal", "jwt", "key", "apiKey"})
_OF_CALL: dict[Path, str] = {
    ("request", "method"): "verb",
    ("request", "path"): "path",
    ("request", "ip"): "ip",
    ("request", "route"): "route",
    ("request", "dialect"): "dialect",
    ("source", "address"): "ip",
    ("session", "id"): "attribution.session",
    ("user",): "attribution.user",
    ("agent",): "attribution.agent",
    ("project",): "attribution.project",
}
_OF_OPERATION: dict[Path, str] = {
    ("llm", "model"): "model",
    ("llm", "requestModel"): "model",
    ("llm", "operation"): "method",
    ("llm", "stream"): "stream",
    ("llm", "streaming"): "stream",
    ("llm", "maxTokens"): "max_tokens",
    ("mcp", "method"): "method",
    ("mcp", "methodName"): "method",
}
for _subject in ("tool", "prompt", "resource", "task"):
    _OF_OPERATION[("mcp", _subject, "name")] = "name"
    _OF_OPERATION[("mcp", _subject, "exposed")] = "exposed"
    _OF_OPERATION[("mcp", _subject, "server")] = _OF_OPERATION[("mcp", _subject, "target")] = "server"


def remembered(reads: Collection[Path], decide: Decide[D]) -> Decide[D]:
    """`decide`, which reads these, with a memory of what it said before; itself where it rests on more than a few facts.

    Whoever calls is told by identity, for a principal never changes and may hold any claims; the kind, the method and the
    subject of an operation say whether a rule stands for it at all.
    """
    rest = [read for read in reads if read[0] not in _CALLER]
    if any(read not in _OF_CALL and read not in _OF_OPERATION for read in rest):
        return decide
    # Two of each at least, for one alone would come without a tuple around it.
    of_call = attrgetter("verb", "dialect", *(_OF_CALL[read] for read in rest if read in _OF_CALL))
    of_op = attrgetter(
        "kind", "method", "subject", *(_OF_OPERATION[read] for read in rest if read in _OF_OPERATION)
    )
    known: dict[tuple[Any, ...], tuple[Principal, D]] = {}

    def again(call: Call, op: Operation) -> D:
        principal = call.principal
        key = (id(principal), of_call(call), of_op(op))
        found = known.get(key)
        if found is not None and found[0] is principal:
            return found[1]
        decision = decide(call, op)
        if all(len(fact) <= LONG for fact in (*key[1], *key[2]) if isinstance(fact, str)):
            if len(known) >= REMEMBERED:
                known.clear()
            known[key] = (principal, decision)
        return decision

    return again
