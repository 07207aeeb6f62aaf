"""Expressions of the file as callables over a call and its operation. CEL is imported when the first one needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.call import Call, Operation
from gateway.limits.keys import plain

Value = Callable[[Call, Operation], Any]
Condition = Callable[[Call, Operation], bool]
_SUBJECTS = frozenset({"llm", "llmRequest", "mcp"})


def value(text: str) -> Value:
    """What an expression says of an operation; raises CelError where it has nothing to say."""
    if (named := plain(text)) is not None:
        return named
    from gateway.policy import cel
    from gateway.policy.variables import Values

    expression = cel.compile(text, phase="record")
    return lambda call, op: expression.evaluate(Values(call, op))


def condition(text: str) -> Condition:
    """Whether an expression holds. One that reads what this kind of traffic does not have does not; any other error is
    its caller's to judge."""
    from gateway.policy import cel
    from gateway.policy.variables import Missing, Values

    expression = cel.compile(text)
    subjects = [path for path in expression.reads if path[0] in _SUBJECTS]

    def holds(call: Call, op: Operation) -> bool:
        values = Values(call, op)
        if any(isinstance(values.at(path[:2]), Missing) for path in subjects):
            return False
        return expression.holds(values)

    return holds
