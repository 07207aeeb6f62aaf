"""The specification's meaning where cel-python has another one, and the functions of our own, for its compiled source.

Values of different types are unequal, and numbers of different types compare, where cel-python sees errors; a loop does not run
over the characters of a string; a part that fails is an error that `&&` and `||` may absorb, whatever made it fail.
"""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable
from typing import Any

from celpy import celtypes, evaluation
from celpy.evaluation import CELEvalError

from gateway.policy import functions

_NUMBERS = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)


def result(activation: Any, expression: Callable[[Any], Any]) -> Any:
    try:
        return expression(activation)
    except Exception as error:
        return CELEvalError(str(error), type(error), error.args)


def _strictly(activation: Any, expression: Callable[[Any], Any]) -> Any:
    value = expression(activation)
    if isinstance(value, CELEvalError):
        raise value
    return value


def _over_lists(macro: Callable[..., Any], part: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(activation: Any, variable: str, body: Any, items: Callable[[Any], Any]) -> Any:
        return macro(
            activation, variable, lambda inner: part(inner, body), lambda outer: _listed(items(outer))
        )

    return run


def _listed(value: Any) -> Any:
    if not isinstance(value, (list, dict)):
        raise TypeError(type(value).__name__)
    return value


# `all` and `exists` absorb an error as `&&` and `||` do; the others do not.
_PARTS = {"macro_all": result, "macro_exists": result, "macro_exists_one": _strictly, "macro_filter": _strictly,
          "macro_map": _strictly}  # fmt: skip
LOOPS = {name: _over_lists(getattr(evaluation, name), part) for name, part in _PARTS.items()}


def _failed(*values: Any) -> CELEvalError | None:
    return next((value for value in values if isinstance(value, CELEvalError)), None)


def equal(a: Any, b: Any) -> Any:
    return _failed(a, b) or celtypes.BoolType(_same(a, b))


def unequal(a: Any, b: Any) -> Any:
    return _failed(a, b) or celtypes.BoolType(not _same(a, b))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
        return float(a) == float(b) if _fractional(a, b) else int(a) == int(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        theirs = {_key(key): item for key, item in b.items()}
        return len(a) == len(b) and all(
            _key(key) in theirs and _same(item, theirs[_key(key)]) for key, item in a.items()
        )
    if a is None or b is None:
        return a is b
    return _kind(a) is _kind(b) and bool(a == b)


def _key(key: Any) -> tuple[Any, Any]:
    """Numbers of different types are the same key."""
    return (
        ("number", float(key) if isinstance(key, float) else int(key))
        if isinstance(key, _NUMBERS)
        else (type(key), key)
    )


def _kind(value: Any) -> Any:
    """Arithmetic of durations gives the plain type back."""
    return datetime.timedelta if isinstance(value, datetime.timedelta) else type(value)


def _fractional(a: Any, b: Any) -> bool:
    return isinstance(a, float) or isinstance(b, float)


def contained(item: Any, container: Any) -> Any:
    if (failed := _failed(item, container)) is not None:
        return failed
    if item is None and isinstance(container, dict):
        raise TypeError("null is no key of a map")
    return celtypes.BoolType(any(_same(item, each) for each in _listed(container)))


def _ordered(compare: Callable[[Any, Any], bool], own: Any, a: Any, b: Any) -> Any:
    if (failed := _failed(a, b)) is not None:
        return failed
    if isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
        number: Any = float if _fractional(a, b) else int
        return celtypes.BoolType(compare(number(a), number(b)))
    if _kind(a) is not _kind(b) or isinstance(a, (list, dict)) or a is None:
        raise TypeError(f"{type(a).__name__} and {type(b).__name__} have no order")
    return own(a, b)


def less(a: Any, b: Any) -> Any:
    return _ordered(operator.lt, evaluation.bool_lt, a, b)


def at_most(a: Any, b: Any) -> Any:
    return _ordered(operator.le, evaluation.bool_le, a, b)


def more(a: Any, b: Any) -> Any:
    return _ordered(operator.gt, evaluation.bool_gt, a, b)


def at_least(a: Any, b: Any) -> Any:
    return _ordered(operator.ge, evaluation.bool_ge, a, b)


def _string(value: Any) -> str:
    if not isinstance(value, celtypes.StringType):
        raise value if isinstance(value, CELEvalError) else TypeError(type(value).__name__)
    return str(value)


def contains(text: Any, part: Any) -> Any:
    return celtypes.BoolType(_string(part) in _string(text))


def starts_with(text: Any, part: Any) -> Any:
    return celtypes.BoolType(_string(text).startswith(_string(part)))


def ends_with(text: Any, part: Any) -> Any:
    return celtypes.BoolType(_string(text).endswith(_string(part)))


def in_networks(ip: Any, networks: Any) -> Any:
    if isinstance(networks, celtypes.StringType):
        networks = [networks]
    return celtypes.BoolType(
        functions.in_networks(_string(ip), [_string(text) for text in _listed(networks)])
    )


def cidr(text: Any) -> Any:
    return celtypes.StringType(functions.cidr(_string(text)))


def contains_ip(network: Any, ip: Any) -> Any:
    return celtypes.BoolType(functions.contains_ip(_string(network), _string(ip)))


def regex_replace(text: Any, pattern: Any, replacement: Any) -> Any:
    return celtypes.StringType(functions.regex_replace(_string(text), _string(pattern), _string(replacement)))


def strip_prefix(text: Any, prefix: Any) -> Any:
    return celtypes.StringType(functions.strip_prefix(_string(text), _string(prefix)))


# The compiled source calls each by the module and the name it was defined under.
FUNCTIONS: dict[str, Any] = {
    "_==_": equal, "_!=_": unequal, "_in_": contained, "_<_": less, "_<=_": at_most, "_>_": more, "_>=_": at_least,
    "contains": contains, "startsWith": starts_with, "endsWith": ends_with, "inNetworks": in_networks, "cidr": cidr,
    "containsIP": contains_ip, "regexReplace": regex_replace, "stripPrefix": strip_prefix,
}  # fmt: skip
