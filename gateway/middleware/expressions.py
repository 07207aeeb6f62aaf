"""Keys, conditions and labels that are text: plain names stay cheap, expressions are compiled when there are some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.limits import keys
from gateway.limits.keys import ABSENT, Key
from gateway.metering.meter import Label

if TYPE_CHECKING:
    from gateway.call import Call, Operation


def callable_of(text: str) -> Key:
    """The callable of a name or a CEL expression. An expression about models is ABSENT for tools, and the other way round."""
    return keys.plain(text) or _expression(text)


def _expression(text: str) -> Key:
    from gateway.policy import cel  # costs as much as its engine does
    from gateway.policy.variables import Missing, Values

    expression = cel.compile(text)
    subjects = [path for path in expression.reads if path[0] in ("llm", "llmRequest", "mcp")]

    def evaluate(call: Call, op: Operation) -> Any:
        values = Values(call, op)
        for path in subjects:
            # The subject itself is missing, not one of its fields.
            if isinstance(values.at(path[:2] if path[0] == "mcp" else path[:1]), Missing):
                return ABSENT
        return expression.evaluate(values)

    evaluate.__qualname__ = expression.text
    return evaluate


def labels_of(labels: Mapping[str, Label | str]) -> dict[str, Label]:
    return {name: _label(source) if isinstance(source, str) else source for name, source in labels.items()}


def _label(text: str) -> Label:
    evaluate = callable_of(text)

    def label(call: Call, op: Operation) -> Any:
        value = evaluate(call, op)
        return None if value is ABSENT else value

    return label
