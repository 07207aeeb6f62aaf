"""What an expression reads, and the few things in it that CEL itself does not have.

The text is parsed once. What CEL's two engines would treat differently, or cannot do at all (a default for a value that is
absent, JSON inside a string, an address in a network), is cut out of the text and becomes an input of its own, so that both
engines see plain CEL and agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

import lark
from celpy.evaluation import celstr

from gateway.errors import ConfigError
from gateway.policy import grammar
from gateway.policy.grammar import Tree

Path = tuple[str, ...]
Step = Literal["has", "default", "coalesce", "json"]

LENGTH = 4096  # characters of source
DEPTH = 250  # levels of the syntax tree; a pair of parentheses is about ten, an operator in a chain one
LOOPS = 2  # comprehensions within each other

_MACROS = {"all", "exists", "exists_one", "map", "filter"}
_STEPS: dict[str, Step] = {"default": "default", "coalesce": "coalesce", "json": "json"}
_ADDRESSES: set[Path] = {("request", "ip"), ("source", "address")}
_UNFIT = frozenset({"nested_activation"})  # an attribute of what the compiled runner passes around
_TYPES = frozenset({"bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "timestamp", "type", "uint"})  # fmt: skip
_FUNCTIONS = _TYPES | {
    "cidr", "coalesce", "contains", "containsIP", "default", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "has", "json",
    "matches", "regexReplace", "size", "startsWith", "stripPrefix",
}  # fmt: skip
_OPERATORS = {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary",
              "member", "primary"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Input:
    """A value that is worked out before the expression runs, and the name that stands for it in the text."""

    name: str
    step: Step
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """An expression, understood. `text` is plain CEL; `tree` is the tree of the text as it was written."""

    written: str
    text: str
    reads: tuple[Path, ...]
    inputs: tuple[Input, ...]
    loops: int
    tree: Tree


def parse(text: str, roots: Collection[str]) -> Source:
    """Raises ConfigError with the place and the reason."""
    if len(text) > LENGTH:
        raise ConfigError(f"an expression may have {LENGTH} characters, this one has {len(text)}")
    tree = grammar.parse(text)
    _bounded(tree)
    reader = _Reader(text, frozenset(roots))
    reader.walk(tree, frozenset(), 0)
    return Source(text, reader.rewritten(), tuple(sorted(reader.reads)), tuple(reader.inputs), reader.loops, tree)  # fmt: skip


def _bounded(tree: Tree) -> None:
    level, depth = [tree], 0
    while level:
        level, depth = [child for node in level for child in _trees(node)], depth + 1
        if depth > DEPTH:
            raise ConfigError("the expression is nested too deeply")


def bare(tree: Tree) -> Tree:
    """The tree without the grammar's layers of precedence that do nothing here, and without parentheses."""
    while len(tree.children) == 1 and (tree.data in _OPERATORS or tree.data == "paren_expr"):
        child = tree.children[0]
        assert isinstance(child, lark.Tree)
        tree = child
    return tree


def path(tree: Tree) -> Path | None:
    """`jwt.email` and `request.headers["x-team"]` as names; None for anything else."""
    tree = bare(tree)
    if tree.data in ("ident", "dot_ident"):
        return (str(tree.children[0]),)
    if tree.data not in ("member_dot", "member_index"):
        return None
    before, last = path(_sub(tree, 0)), tree.children[1]
    name = str(last) if isinstance(last, lark.Token) else string(last)
    return None if before is None or name is None else (*before, name)


def string(tree: Tree) -> str | None:
    """The value of a string literal; None for anything else."""
    tree = bare(tree)
    if tree.data != "literal":
        return None
    token = tree.children[0]
    assert isinstance(token, lark.Token)
    return str(celstr(token)) if token.type in ("STRING_LIT", "MLSTRING_LIT") else None


def cut(text: str, tree: Tree) -> str:
    return text[tree.meta.start_pos : tree.meta.end_pos]


def _sub(tree: Tree, index: int) -> Tree:
    child = tree.children[index]
    assert isinstance(child, lark.Tree)
    return child


def _trees(tree: Tree) -> Iterator[Tree]:
    return (child for child in tree.children if isinstance(child, lark.Tree))


def arguments(tree: Tree) -> list[Tree]:
    last = tree.children[-1]
    return list(_trees(last)) if isinstance(last, lark.Tree) and last.data == "exprlist" else []


@dataclass(slots=True)
class _Reader:
    text: str
    roots: frozenset[str]
    reads: set[Path] = field(default_factory=set)
    inputs: list[Input] = field(default_factory=list)
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    loops: int = 0

    def rewritten(self) -> str:
        text = self.text
        for start, end, new in sorted(self.edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def walk(self, tree: Tree, bound: frozenset[str], loops: int) -> None:
        tree = bare(tree)
        found = path(tree)
        if found is not None:
            self._read(found, bound)
            if found[:2] == ("request", "headers") and len(found) == 3 and not found[2].islower():
                self.edits.append(
                    (tree.meta.start_pos, tree.meta.end_pos, f'request.headers["{found[2].lower()}"]')
                )
        elif tree.data == "member_dot_arg" and str(tree.children[1]) in _MACROS:
            self._loop(tree, bound, loops)
        elif tree.data == "ident_arg" and str(tree.children[0]) in ("has", *_STEPS):
            self._step(tree, bound)
        else:
            self._function(tree)
            if tree.data == "relation":
                self._network(tree)
            for child in _trees(tree):
                self.walk(child, bound, loops)

    def _read(self, found: Path, bound: frozenset[str]) -> None:
        if found[0] in bound or (len(found) == 1 and found[0] in _TYPES):
            return
        if found[0] not in self.roots:
            raise ConfigError(
                f"{found[0]} is not a variable: {self._near(found[0], self.roots)} (in: {self.text})"
            )
        header = found[:2] == ("request", "headers") and len(found) > 2
        self.reads.add((*found[:2], found[2].lower(), *found[3:]) if header else found)

    def _function(self, tree: Tree) -> None:
        if tree.data not in ("ident_arg", "dot_ident_arg", "member_dot_arg"):
            return
        name = str(tree.children[1 if tree.data == "member_dot_arg" else 0])
        if name not in _FUNCTIONS:
            raise ConfigError(f"{name}() is not a function: {self._near(name, _FUNCTIONS)} (in: {self.text})")

    @staticmethod
    def _near(name: str, names: Collection[str]) -> str:
        import difflib

        near = difflib.get_close_matches(name, names, 1)
        return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names))}"

    def _loop(self, tree: Tree, bound: frozenset[str], loops: int) -> None:
        if loops == LOOPS:
            raise ConfigError(f"at most {LOOPS} loops may stand within each other: {self.text}")
        self.loops = max(self.loops, loops + 1)
        self.walk(_sub(tree, 0), bound, loops)
        variable, *bodies = arguments(tree) or [tree]
        name = path(variable)
        if not bodies or name is None or len(name) != 1 or name[0] in _UNFIT or name[0].startswith("_"):
            raise ConfigError(f"{tree.children[1]}() takes a variable and an expression: {self.text}")
        for body in bodies:
            self.walk(body, bound | {name[0]}, loops + 1)

    def _step(self, tree: Tree, bound: frozenset[str]) -> None:
        step, parts = str(tree.children[0]), arguments(tree)
        if (
            (step in ("has", "json") and len(parts) != 1)
            or (step == "default" and len(parts) != 2)
            or not parts
        ):
            raise ConfigError(
                f"{step}() takes {'two arguments' if step == 'default' else 'one argument'}: {self.text}"
            )
        if step == "has" and (found := path(parts[0])) and found[0] in bound:
            return
        sources = tuple(parse(cut(self.text, part), self.roots | bound) for part in parts)
        for source in sources:
            if any(read[0] in bound for read in source.reads):
                raise ConfigError(f"{step}() cannot use the variable of a loop: {self.text}")
            self.reads.update(source.reads)
        name = f"input_{len(self.inputs)}"
        self.inputs.append(Input(name, "has" if step == "has" else _STEPS[step], sources))
        self.edits.append((tree.meta.start_pos, tree.meta.end_pos, name))

    def _network(self, tree: Tree) -> None:
        """`request.ip in [...]` compares with networks, as whoever writes it means."""
        left, right = _sub(tree, 0), _sub(tree, 1)
        if left.data == "relation_in" and path(_sub(left, 0)) in _ADDRESSES:
            middle = (left.children[0].meta.end_pos, right.meta.start_pos)  # type: ignore[union-attr]
            self.edits += [(tree.meta.start_pos, tree.meta.start_pos, "inNetworks("),
                           (*middle, ", "), (tree.meta.end_pos, tree.meta.end_pos, ")")]  # fmt: skip
