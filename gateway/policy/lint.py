"""What `gateway check` says of rules that are right as CEL and wrong as rules: each finding with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.policy import cel, functions, syntax
from gateway.policy.cel import Expression
from gateway.policy.grammar import Tree
from gateway.policy.rules import SUBJECTS
from gateway.policy.syntax import Path
from gateway.policy.variables import ROOTS

Serves = Literal["llm", "mcp"]
_ADDRESSES: set[Path] = {("request", "ip"), ("source", "address")}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path == "x"`, `path != "x"` or `path in ["x", …]`."""

    path: Path
    operator: Literal["==", "!=", "in"]
    values: tuple[str, ...]

    def excludes(self, other: Comparison) -> bool:
        """This holds wherever the other does: it is about the same thing, and the other names none of what this leaves out."""
        return self.operator == "!=" and self.path == other.path and self.values[0] not in other.values

    def covered_by(self, other: Comparison) -> bool:
        same = self.path == other.path and "!=" not in (self.operator, other.operator)
        return same and set(self.values) <= set(other.values)


def warnings(
    *,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    require: Sequence[str] = (),
    serves: Serves | None = None,
) -> list[str]:
    """Findings about the rules of one place; `serves` says which traffic passes there. Raises ConfigError as `compile` does."""
    allowed, denied, required = ([cel.compile(text) for text in texts] for texts in (allow, deny, require))
    found = [*_moot(allowed), *_constant([*allowed, *denied, *required])]
    for expression in (*allowed, *denied, *required):
        found += [*_addresses(expression), *_domains(expression)]
        found += [] if serves is None else _elsewhere(expression, serves)
    found += [text for expression in denied for text in _absent(expression)]
    return [*found, *_closed(allowed, serves)]


def _moot(allowed: Sequence[Expression]) -> Iterator[str]:
    """Allows are OR-ed: one that is true of nearly everything leaves the others nothing to do."""
    compared = [(expression, comparison(expression)) for expression in allowed]
    for at, (expression, own) in enumerate(compared):
        others = [other for n, (_, other) in enumerate(compared) if n != at and other is not None]
        if (
            own is not None
            and others
            and all(own.excludes(other) for other in others if other.path == own.path)
        ):
            if own.operator == "!=" and any(other.path == own.path for other in others):
                name, value = ".".join(own.path), own.values[0]
                yield (f"allow rules are OR-ed, so {expression.text} allows everything but {value}, and the other rules on {name} "
                       f"can never matter. To list what is allowed, remove it; to forbid {value} as well, write: "
                       f"deny: ['{name} == \"{value}\"']")  # fmt: skip
        elif own is not None and any(own.covered_by(other) for other in others):
            yield f"{expression.text} can never matter: another allow rule already allows all of it"


def _constant(expressions: Sequence[Expression]) -> Iterator[str]:
    for expression in expressions:
        if not expression.reads:
            yield f"{expression.text} reads nothing of the call: it is the same for everybody"


def _addresses(expression: Expression) -> Iterator[str]:
    own = comparison(expression)
    if own is None or own.path not in _ADDRESSES:
        return
    for value in own.values:
        try:
            functions.network(value)
        except ValueError:
            yield f"{expression.text}: {value} is neither an address nor a network"
            continue
        if own.operator != "in" and "/" in value:
            yield f'{expression.text} compares an address with a text; write: {".".join(own.path)} in ["{value}"]'


def _domains(expression: Expression) -> Iterator[str]:
    for tree in _every(expression.source.tree):
        if tree.data != "member_dot_arg" or str(tree.children[1]) != "endsWith":
            continue
        read, parts = syntax.path(tree.children[0]), syntax.arguments(tree)  # type: ignore[arg-type]
        domain = syntax.string(parts[0]) if len(parts) == 1 else None
        if read is not None and read[-1] == "email" and domain is not None and domain[:1] not in ("@", "."):
            yield f'{expression.text}: anybody@not-{domain} ends so too; write endsWith("@{domain}")'


def _absent(expression: Expression) -> Iterator[str]:
    """A deny that has no value refuses: whoever does not send the header at all."""
    if "in request.headers" in expression.source.written or any(
        step.step == "has" for step in expression.source.inputs
    ):
        return  # it asks first whether the value is there
    inputs = {step.name for step in expression.source.inputs}
    for read in syntax.parse(expression.source.text, ROOTS | inputs).reads:
        if read[:2] == ("request", "headers") and len(read) == 3:
            name = f'request.headers["{read[2]}"]'
            yield f'deny {expression.text} refuses everybody who does not send {read[2]}; write default({name}, "") for {name}'
        elif read == ("session", "id"):
            yield f'deny {expression.text} refuses everybody without a session; write default(session.id, "") for session.id'


def _elsewhere(expression: Expression, serves: Serves) -> Iterator[str]:
    other = "mcp" if serves == "llm" else "llm"
    about = [
        read
        for read in expression.reads
        if read[0] in (("llm", "llmRequest") if other == "llm" else ("mcp",))
    ]
    if about:
        kind = "models" if serves == "llm" else "tools"
        yield f"{expression.text} can never matter here: this route serves {kind}, which have no {'.'.join(about[0][:2])}"


def _closed(allowed: Sequence[Expression], serves: Serves | None) -> Iterator[str]:
    if serves is None or not allowed:
        return
    foreign = ("llm", "llmRequest") if serves == "mcp" else ("mcp",)
    if all(any(read[0] in foreign for read in expression.reads) for expression in allowed):
        what = "model call" if serves == "llm" else "tool call"
        yield f"every {what} is refused here: none of the allow rules is about this traffic. Move them to the route they are about, or add one that is"  # fmt: skip
    elif serves == "mcp":
        yield from _subjects(allowed)


def _subjects(allowed: Sequence[Expression]) -> Iterator[str]:
    named = [{read[1] for read in expression.reads if read[0] == "mcp" and len(read) > 1 and read[1] in SUBJECTS} for expression in allowed]  # fmt: skip
    for kind in ("prompt", "resource"):
        if all(subjects and kind not in subjects for subjects in named):
            yield f"every {kind} is refused here: the allow rules are about {' and '.join(sorted(set().union(*named)))}s only"


def comparison(expression: Expression) -> Comparison | None:
    """The expression as one comparison with texts; None for anything else."""
    return _compared(syntax.bare(expression.source.tree))


def _compared(tree: Tree) -> Comparison | None:
    if tree.data == "unary" and getattr(tree.children[0], "data", "") == "unary_not":
        inner = _compared(syntax.bare(tree.children[1]))  # type: ignore[arg-type]
        return (
            Comparison(inner.path, "!=", inner.values)
            if inner is not None and inner.operator == "=="
            else None
        )
    if tree.data != "relation":
        return None
    left, right = tree.children
    assert not isinstance(left, str)
    assert not isinstance(right, str)
    read = syntax.path(left.children[0])  # type: ignore[arg-type]
    if read is None:
        return None
    if left.data == "relation_in":
        return _listed(read, syntax.bare(right))
    value = syntax.string(right)
    operators: dict[str, Literal["==", "!="]] = {"relation_eq": "==", "relation_ne": "!="}
    operator = operators.get(str(left.data))
    return None if value is None or operator is None else Comparison(read, operator, (value,))


def _listed(read: Path, tree: Tree) -> Comparison | None:
    values = [syntax.string(each) for each in syntax.arguments(tree)] if tree.data == "list_lit" else []
    texts = tuple(value for value in values if value is not None)
    return Comparison(read, "in", texts) if texts and len(texts) == len(values) else None


def _every(tree: Tree) -> Iterator[Tree]:
    return tree.iter_subtrees()
