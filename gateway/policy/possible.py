"""What a rule could still turn out to be, while a part of what it reads is not there yet.

`jwt.role == "user" && mcp.tool.name != "delete_file"` says something about a list as a whole too: for a guest it is false
whatever the tool, for a user it depends on the tool. So a rule that has no value is taken apart at `&&`, `||`, `!` and `?:`,
and the outcomes of its parts are combined. Nothing is guessed: the result is every outcome that some subject could give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import lark

from gateway.policy import syntax
from gateway.policy.cel import Expression
from gateway.policy.errors import CelError
from gateway.policy.variables import Path, Values

# `absent` is an error because the caller has no such credential.
Outcome = Literal["true", "false", "error", "absent"]
Outcomes = frozenset[Outcome]
TRUE: Outcomes = frozenset({"true"})
FALSE: Outcomes = frozenset({"false"})
ERROR: Outcomes = frozenset({"error"})
ABSENT: Outcomes = frozenset({"absent"})
EITHER: Outcomes = TRUE | FALSE

Classify = Callable[[tuple[Path, ...], Values], Outcomes]


@dataclass
class Part:
    """An expression, and its parts where it is a logical one."""

    expression: Expression

    def outcomes(self, values: Values, classify: Classify) -> Outcomes:
        """`classify` says what an expression that has no value could be, by what it reads."""
        try:
            return TRUE if self.expression.holds(values) else FALSE
        except CelError:
            operator, parts = self._taken_apart
        if not operator:
            return classify(self.expression.reads, values)
        return _COMBINE[operator]([part.outcomes(values, classify) for part in parts])

    @cached_property
    def _taken_apart(self) -> tuple[str, list[Part]]:
        tree = syntax.bare(self.expression.source.tree)
        operator = _operator(tree)
        if not operator:
            return "", []
        children = [child for child in tree.children if isinstance(child, lark.Tree)]
        return operator, [
            Part(self.expression.part(child)) for child in children if child.data != "unary_not"
        ]


def _operator(tree: lark.Tree[Any]) -> str:
    if tree.data == "unary":
        return "not" if getattr(tree.children[0], "data", "") == "unary_not" else ""
    return {"conditionaland": "and", "conditionalor": "or", "expr": "if"}.get(str(tree.data), "")


def _pairs(parts: list[Outcomes], decide: Callable[[Outcome, Outcome], Outcome]) -> Outcomes:
    left, right = parts
    return frozenset(decide(a, b) for a in left for b in right)


def _and(a: Outcome, b: Outcome) -> Outcome:
    return _first((a, b), ("false", "error", "absent", "true"))


def _or(a: Outcome, b: Outcome) -> Outcome:
    return _first((a, b), ("true", "error", "absent", "false"))


def _first(found: Iterable[Outcome], order: tuple[Outcome, ...]) -> Outcome:
    return min(found, key=order.index)


_NEGATED: dict[Outcome, Outcome] = {"true": "false", "false": "true", "error": "error", "absent": "absent"}


def _if(parts: list[Outcomes]) -> Outcomes:
    condition, then, otherwise = parts
    chosen = condition - EITHER
    return chosen | (then if "true" in condition else frozenset()) | (otherwise if "false" in condition else frozenset())  # fmt: skip


_COMBINE: dict[str, Callable[[list[Outcomes]], Outcomes]] = {
    "and": lambda parts: _pairs(parts, _and),
    "or": lambda parts: _pairs(parts, _or),
    "not": lambda parts: frozenset(_NEGATED[outcome] for outcome in parts[0]),
    "if": _if,
}
