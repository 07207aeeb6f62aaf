"""Expressions: compiled once, evaluated with the values they read, and remembered by them.

An expression's result depends on nothing but the values at its `reads`, so a result is kept under exactly those values; a
decision that was made before costs one look-up. An engine only ever sees these values, never the whole request: a claim that
no rule reads is never converted.

cel-python is the default engine and defines what an expression means. The extra `fast-cel` is Google's own implementation,
taken where it is installed; `engine=` chooses. Importing this module costs as much as cel-python does (0.16 s), so whoever
has no expression must not import it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol

import orjson

from gateway.errors import ConfigError
from gateway.policy import syntax, variables
from gateway.policy.errors import CelError
from gateway.policy.syntax import Input, Path, Source
from gateway.policy.variables import ROOTS, Missing, Phase, Values

Engine = Literal["auto", "cel-python", "cel-cpp"]

REMEMBERED = 2048  # results kept for each expression
LONG = 1024  # a longer string is not worth a place among them
FEW = 64  # nor is a longer list of strings, or a list of longer ones
# The most entries that a value may have, by how deep an expression loops.
ITEMS = {0: 100_000, 1: 1_000, 2: 100}


class Program(Protocol):
    def run(self, activation: Mapping[str, Any]) -> Any:
        """The value as plain Python. Raises CelError."""


def compile(text: str, *, engine: Engine = "auto", phase: Phase = "request") -> Expression:
    """Raises ConfigError for what is not an expression, costs too much, or reads what does not exist in this phase."""
    source = syntax.parse(text.strip(), ROOTS)
    for path in source.reads:
        variables.check(path, phase)
    return Expression(source, _engine(engine))


def fault(text: str) -> str | None:
    """What keeps a text from being an expression, told without compiling it; None where nothing does."""
    try:
        for path in syntax.parse(text.strip(), ROOTS).reads:
            variables.check(path)
    except ConfigError as error:
        return str(error)
    return None


def _engine(wanted: Engine) -> Engine:
    if wanted == "cel-cpp" or (wanted == "auto" and importlib.util.find_spec("cel_expr_python")):
        return "cel-cpp"
    return "cel-python"


def _program(text: str, names: Collection[str], engine: Engine) -> Program:
    if engine == "cel-cpp":
        from gateway.policy import cel_cpp

        return cel_cpp.program(text, names)
    from gateway.policy import cel_python

    return cel_python.program(text)


class Expression:
    """`compile(text).evaluate(values)`; `reads` are the values that its result depends on."""

    __slots__ = ("_engine", "_inputs", "_known", "_limit", "_program", "_steps", "source")

    def __init__(self, source: Source, engine: Engine) -> None:
        self.source = source
        self._engine = engine
        self._inputs = tuple(read for read in source.reads if not _covered(read, source.reads))
        self._steps = tuple((step, tuple(Expression(sub, engine) for sub in step.sources)) for step in source.inputs)  # fmt: skip
        names = {read[0] for read in source.reads} | {step.name for step in source.inputs}
        self._program = _program(source.text, names, engine)
        self._limit = ITEMS[source.loops]
        self._known: dict[tuple[Any, ...], Any] = {}

    @property
    def text(self) -> str:
        return self.source.written

    @property
    def reads(self) -> tuple[Path, ...]:
        return self.source.reads

    def part(self, tree: Any) -> Expression:
        """A part of this expression as one of its own."""
        return Expression(syntax.parse(syntax.cut(self.text, tree), ROOTS), self._engine)

    def holds(self, values: Values) -> bool:
        """Only true itself holds; anything that is not a truth value is an error. Raises CelError."""
        value = self.evaluate(values)
        if value is not True and value is not False:
            raise CelError(f"{self.text} gives {type(value).__name__}, not true or false")
        return value

    def evaluate(self, values: Values) -> Any:
        """The value as plain Python. Raises CelError."""
        found = [values.at(path) for path in self._inputs]
        key = _key(found)
        if key is None:
            return _raised(self._work(found, values))
        known = self._known
        if key not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            known[key] = self._work(found, values)
        return _raised(known[key])

    def _work(self, found: list[Any], values: Values) -> Any:
        """The value, or the CelError that it has instead."""
        try:
            activation = _activation(self._inputs, found, self._limit)
            for step, sources in self._steps:
                value = _step(step, sources, values)
                if not isinstance(value, CelError):
                    activation[step.name] = value
            return self._program.run(activation)
        except CelError as error:
            return error.with_traceback(None)


def _raised(value: Any) -> Any:
    if isinstance(value, CelError):
        raise CelError(*value.args)
    return value


def _covered(read: Path, reads: tuple[Path, ...]) -> bool:
    return any(other != read and read[: len(other)] == other for other in reads)


_PLAIN = (str, bool, int, float, Missing, type(None))


def _key(found: list[Any]) -> tuple[Any, ...] | None:
    """True, 1 and 1.0 are equal to Python, and three things to CEL: the type belongs to the key."""
    parts: list[Any] = []
    for value in found:
        kind = type(value)
        if kind is list and _short(value):  # groups and scopes: what most rules look at
            value = tuple(value)
        elif not isinstance(value, _PLAIN) or (isinstance(value, str) and len(value) > LONG):
            return None
        parts += (kind, value)
    return tuple(parts)


def _short(items: list[Any]) -> bool:
    return len(items) <= FEW and all(type(item) is str and len(item) <= FEW for item in items)


def _activation(paths: tuple[Path, ...], found: list[Any], limit: int) -> dict[str, Any]:
    top: dict[str, Any] = {}
    for path, value in zip(paths, found, strict=True):
        absent = isinstance(value, Missing)
        inner = top
        for name in path[: value.depth] if absent else path[:-1]:
            inner = inner.setdefault(name, {})
        if not absent:
            inner[path[-1]] = _bounded(value, limit)
    return top


def _bounded(value: Any, limit: int) -> Any:
    if type(value) is dict or type(value) is list or isinstance(value, Mapping):
        waiting: list[Any] = [value]
        size = 0
        while waiting:
            part = waiting.pop()
            children = part.values() if isinstance(part, Mapping) else part
            size += len(part)
            if size > limit:
                raise CelError(
                    f"a value has more than {limit} entries, more than this expression may look at"
                )
            waiting += [child for child in children if isinstance(child, (Mapping, list, tuple))]
    return value


def _step(step: Input, sources: tuple[Expression, ...], values: Values) -> Any:
    if step.step == "has":
        return not isinstance(_attempt(sources[0], values), CelError)
    if step.step == "json":
        return _json(_attempt(sources[0], values))
    value: Any = CelError("nothing here has a value")
    for source in sources:
        value = _attempt(source, values)
        if not isinstance(value, CelError) and (value is not None or step.step == "default"):
            break
    return value


def _attempt(source: Expression, values: Values) -> Any:
    try:
        return source.evaluate(values)
    except CelError as error:
        return error


def _json(value: Any) -> Any:
    if isinstance(value, CelError):
        return value
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError):
        return CelError("not JSON")


__all__ = ["CelError", "ConfigError", "Expression", "compile"]
