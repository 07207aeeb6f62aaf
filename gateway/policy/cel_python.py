"""Expressions run by cel-python's compiled runner.

The runner turns an expression into Python source and executes that source at each evaluation, in cel-python's own module
globals. Here it is executed once, in globals of its own: that is faster, finds our functions, and shares no state between
evaluations. Equality is the specification's: values of different types are unequal, where cel-python sees an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import celpy
from celpy import celtypes, evaluation
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

import gateway
from gateway.errors import ConfigError
from gateway.policy import functions
from gateway.policy.errors import CelError

_PLAIN: tuple[type[Any], ...] = (str, int, float, bytes)
_NUMBERS = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)


def program(text: str) -> PythonProgram:
    environment = celpy.Environment(runner_class=celpy.CompiledRunner)
    try:
        runner = environment.program(environment.compile(text), functions=_FUNCTIONS)
    except (evaluation.CELSyntaxError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"not a CEL expression: {text} ({error})") from error
    assert isinstance(runner, celpy.CompiledRunner)
    return PythonProgram(runner.tp.source_text, text)


class PythonProgram:
    __slots__ = ("_run",)

    def __init__(self, source: str, text: str) -> None:
        if "CELEvalError('unbound function'" in source:
            name = source.partition("'unbound function', KeyError, ('")[2].partition("'")[0]
            raise ConfigError(f"{name}() is not a function: {text}")
        before, _, last = source.rstrip().rpartition("CEL = ")
        names = {**vars(evaluation), "gateway": gateway}
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
    if isinstance(value, celtypes.MapType):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, celtypes.ListType):
        return [_plain(item) for item in value]
    for kind in _PLAIN:
        if isinstance(value, kind):
            return kind(value)
    return value


def equal(a: Any, b: Any) -> Any:
    for value in (a, b):
        if isinstance(value, CELEvalError):
            return value
    return celtypes.BoolType(_same(a, b))


def unequal(a: Any, b: Any) -> Any:
    same = equal(a, b)
    return same if isinstance(same, CELEvalError) else celtypes.BoolType(not same)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
        return _same_number(a, b)
    if isinstance(a, celtypes.ListType) and isinstance(b, celtypes.ListType):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, celtypes.MapType) and isinstance(b, celtypes.MapType):
        return len(a) == len(b) and all(key in b and _same(item, b[key]) for key, item in a.items())
    if a is None or b is None:
        return a is b
    return type(a) is type(b) and bool(a == b)


def _same_number(a: Any, b: Any) -> bool:
    left: float = float(a) if isinstance(a, float) else int(a)
    right: float = float(b) if isinstance(b, float) else int(b)
    return not math.isnan(left) and left == right


def contained(item: Any, container: Any) -> Any:
    for value in (item, container):
        if isinstance(value, CELEvalError):
            return value
    if isinstance(container, celtypes.MapType):
        return celtypes.BoolType(any(_same(item, key) for key in container))
    if isinstance(container, celtypes.ListType):
        return celtypes.BoolType(any(_same(item, each) for each in container))
    return CELEvalError("no such overload", TypeError, ("in",))


def _string(value: Any) -> str:
    if isinstance(value, CELEvalError):
        raise value
    if not isinstance(value, celtypes.StringType):
        raise TypeError(type(value).__name__)
    return str(value)


def in_networks(ip: Any, networks: Any) -> Any:
    if isinstance(networks, CELEvalError):
        return networks
    listed = [networks] if isinstance(networks, str) else networks
    return celtypes.BoolType(functions.in_networks(_string(ip), [_string(text) for text in listed]))


def cidr(text: Any) -> Any:
    return celtypes.StringType(functions.cidr(_string(text)))


def contains_ip(network: Any, ip: Any) -> Any:
    return celtypes.BoolType(functions.contains_ip(_string(network), _string(ip)))


def regex_replace(text: Any, pattern: Any, replacement: Any) -> Any:
    return celtypes.StringType(functions.regex_replace(_string(text), _string(pattern), _string(replacement)))


def strip_prefix(text: Any, prefix: Any) -> Any:
    return celtypes.StringType(functions.strip_prefix(_string(text), _string(prefix)))


# The compiled source calls each by the module and the name it was defined under.
_FUNCTIONS: dict[str, Any] = {"_==_": equal, "_!=_": unequal, "_in_": contained, "inNetworks": in_networks, "cidr": cidr,
              "containsIP": contains_ip, "regexReplace": regex_replace, "stripPrefix": strip_prefix}  # fmt: skip
