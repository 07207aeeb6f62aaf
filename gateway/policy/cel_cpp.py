"""Expressions run by Google's own implementation (`pip install asgi-gateway[fast-cel]`).

Two traps of this engine: an evaluation that fails returns a *value* of type error, which is truthy; and compiling checks
types, so that `1 == "a"` is refused although the language calls it false. The first is looked for, the second switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from cel_expr_python import cel

from gateway.errors import ConfigError
from gateway.policy import functions
from gateway.policy.errors import CelError

T = cel.Type
_TIMES = frozenset({"now", "time"})


def _declared(name: str, result: Any, *overloads: list[Any], member: bool, run: Callable[..., Any]) -> Any:
    kinds = [cel.Overload(f"{name}_{n}", return_type=result, parameters=parameters, is_member=member, impl=run)
             for n, parameters in enumerate(overloads)]  # fmt: skip
    return cel.FunctionDecl(name, kinds)


_FUNCTIONS = [
    _declared("inNetworks", T.BOOL, [T.STRING, T.List(T.DYN)], [T.STRING, T.STRING], member=False, run=functions.in_networks),
    _declared("cidr", T.STRING, [T.STRING], member=False, run=functions.cidr),
    _declared("containsIP", T.BOOL, [T.STRING, T.STRING], member=True, run=functions.contains_ip),
    _declared("regexReplace", T.STRING, [T.STRING, T.STRING, T.STRING], member=True, run=functions.regex_replace),
    _declared("stripPrefix", T.STRING, [T.STRING, T.STRING], member=True, run=functions.strip_prefix),
]  # fmt: skip


def program(text: str, names: Collection[str]) -> CppProgram:
    variables = {name: T.TIMESTAMP if name in _TIMES else T.DYN for name in names}
    environment = cel.NewEnv(variables=variables, functions=_FUNCTIONS)
    try:
        return CppProgram(environment, environment.compile(text, disable_check=True))
    except RuntimeError as error:
        raise ConfigError(f"not a CEL expression: {text} ({str(error).splitlines()[0]})") from error


class CppProgram:
    __slots__ = ("_environment", "_expression")

    def __init__(self, environment: Any, expression: Any) -> None:
        self._environment = environment
        self._expression = expression

    def run(self, activation: Mapping[str, Any]) -> Any:
        try:
            value = self._expression.eval(self._environment.Activation(activation))
        except Exception as error:
            raise CelError(str(error)) from None
        plain = value.plain_value()
        if type(plain) is str and value.type() == T.ERROR:
            raise CelError(plain)
        return bytes(plain) if type(plain) is bytearray else plain
