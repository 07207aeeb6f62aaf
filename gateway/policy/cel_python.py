"""Expressions run by cel-python's compiled runner.

The runner turns an expression into Python source and executes that source at each evaluation, in cel-python's own module
globals. Here it is executed once, in globals of its own: that is faster, finds our functions, and shares no state between
evaluations. Where cel-python differs from the specification in what a rule could meet, `cel_semantics` puts it right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from celpy import celtypes, evaluation
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError, CELSyntaxError, Transpiler

import gateway
from gateway.errors import ConfigError
from gateway.policy import cel_semantics, grammar
from gateway.policy.errors import CelError

_BROKEN = (CELSyntaxError, ValueError, TypeError, AttributeError, SyntaxError, RecursionError, MemoryError)
_PLAIN: tuple[type[Any], ...] = (str, int, float, bytes)
_CELPY = SimpleNamespace(
    celtypes=celtypes,
    evaluation=SimpleNamespace(**{**vars(evaluation), **cel_semantics.LOOPS, "result": cel_semantics.result}),
)


def program(text: str) -> PythonProgram:
    tree: Any = grammar.parse(text)
    # Not by way of celpy's Environment: that sets the interpreter's recursion limit.
    try:
        transpiler = Transpiler(tree, evaluation.Activation(functions=cel_semantics.FUNCTIONS))
        transpiler.transpile()
        return PythonProgram(transpiler.source_text, text)
    except _BROKEN as error:
        raise ConfigError(f"not a CEL expression: {text} ({error})") from error


class PythonProgram:
    __slots__ = ("_run",)

    def __init__(self, source: str, text: str) -> None:
        if "CELEvalError('unbound function'" in source:
            name = source.partition("'unbound function', KeyError, ('")[2].partition("'")[0]
            raise ConfigError(f"{name}() is not a function: {text}")
        before, _, last = source.rstrip().rpartition("CEL = ")
        names = {**vars(evaluation), "gateway": gateway, "celpy": _CELPY}
        code = compile(f"{before}CEL = lambda base_activation: {last}", "<rule>", "exec")
        exec(code, names)  # noqa: S102  # what the compiled runner itself does; literals are quoted by it
        self._run: Callable[[Activation], Any] = names["CEL"]

    def run(self, activation: Mapping[str, Any]) -> Any:
        try:
            ready = Activation({name: json_to_cel(value) for name, value in activation.items()})
            value = self._run(ready)
        except Exception as error:
            raise CelError(str(error)) from None
        if isinstance(value, CELEvalError):
            raise CelError(str(value.args[0]))
        return _plain(value)


class Activation:
    """The variables, as the compiled source asks for them: by attribute, and by name where a loop adds one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__values = values

    def __getattr__(self, name: str) -> Any:
        values = self.__values
        if name in values:
            return values[name]
        if name in evaluation.base_functions:
            return evaluation.base_functions[name]
        raise NameError(name)

    def nested_activation(self, *, vars: Mapping[str, Any]) -> Activation:
        return Activation({**self.__values, **vars})


def _plain(value: Any) -> Any:
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in _PLAIN:
        if isinstance(value, kind):
            return kind(value)
    return value
