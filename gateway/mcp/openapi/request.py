"""From a tool's arguments to the request of its operation: no value can leave the place that it was given for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec import Raw, Struct

from gateway.mcp.openapi.document import VARIABLE
from gateway.mcp.openapi.tool import BODY, Operation, Parameter
from gateway.types import Headers

_SEPARATORS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_STEPS = re.compile(r"[/\\]")
# A step to where it stands or to what is above, also to those who drop control characters and what they take for parameters.
_ASTRAY = re.compile(r"(?:[\0- ]*\.){1,2}[\0- ]*(?:[;?#].*)?", re.DOTALL)
_LITERAL = "/:@!$&'()*+,;=~%"
_READINGS = 4  # how often somebody on the way might undo escapes
_EXACT = 2.0**53
_escape = partial(quote, safe="")


class Unfit(Exception):
    """The arguments do not make a request; the message is for the agent."""


class Request(Struct, frozen=True):
    """`target` is the path below the base URL, with its query."""

    method: str
    target: str
    headers: Headers
    body: bytes


def request(operation: Operation, arguments: Mapping[str, Any], raw: Mapping[str, Raw]) -> Request:
    """`raw` holds the same arguments as they came: a JSON body passes word for word. Raises Unfit."""
    _check(operation, arguments)
    given: dict[str, list[tuple[Parameter, Any]]] = {"path": [], "query": [], "header": [], "cookie": []}
    for each in operation.parameters:
        if arguments.get(each.argument) is not None:
            given[each.place].append((each, arguments[each.argument]))
    path = _filled(operation.path, {each.name: _segment(each, value) for each, value in given["path"]})
    query = _joined(given["query"], (each.name for each in operation.parameters if each.place == "query"))
    headers = [(each.name.lower().encode(), _line(each, value)) for each, value in given["header"]]
    cookies = [f"{each.name}={_plain(each, value, escaped=True)}" for each, value in given["cookie"]]
    headers += [(b"cookie", "; ".join(cookies).encode())] if cookies else []
    body = _body(operation, arguments, raw)
    if body is not None and operation.body is not None:
        headers.append((b"content-type", operation.body.media.encode()))
    return Request(operation.method, f"{path}?{query}" if query else path, headers, body or b"")


def _check(operation: Operation, arguments: Mapping[str, Any]) -> None:
    known = {each.argument for each in operation.parameters} | ({BODY} if operation.body else set())
    for name in arguments:
        if name not in known:
            raise Unfit(f"there is no argument {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    needed = [each.argument for each in operation.parameters if each.required]
    missing = [name for name in needed if arguments.get(name) is None]
    if operation.body is not None and operation.body.required and BODY not in arguments:
        missing.append(BODY)
    if missing:
        raise Unfit(f"required and missing: {', '.join(missing)}")


def _filled(path: str, values: Mapping[str, str]) -> str:
    parts = VARIABLE.split(path)
    parts[::2] = [quote(literal, safe=_LITERAL) for literal in parts[::2]]
    parts[1::2] = [values[name] for name in parts[1::2]]
    return "".join(parts)


def _segment(parameter: Parameter, value: Any) -> str:
    """Escaped; and refused where somebody who undoes escapes too early would go another way."""
    escaped = _plain(parameter, value, escaped=True)
    read = escaped
    for _ in range(_READINGS):
        read = unquote(read)
        if any(not step or _ASTRAY.fullmatch(step) for step in _STEPS.split(read)):
            raise Unfit(
                f"the argument {parameter.argument!r} may neither be empty nor hold the steps . and .."
            )
    return escaped


def _line(parameter: Parameter, value: Any) -> bytes:
    text = _plain(parameter, value, escaped=False)
    if not text.isprintable() or max(text, default="") > "\xff":
        raise Unfit(f"the argument {parameter.argument!r} becomes a header: one line of Latin letters")
    return text.encode("latin-1")


def _joined(given: Iterable[tuple[Parameter, Any]], names: Iterable[str]) -> str:
    """No key in one value may say what another parameter says: rules and limits look for it there."""
    others = set(map(_escape, names))
    pairs = []
    for parameter, value in given:
        for pair in _query(parameter, value):
            name = pair.partition("=")[0]
            if name in others and name != _escape(parameter.name):
                raise Unfit(
                    f"the argument {parameter.argument!r} may not hold {unquote(name)!r}, which is asked for by itself"
                )
            pairs.append(pair)
    return "&".join(pairs)


def _query(parameter: Parameter, value: Any) -> Iterator[str]:
    name = _escape(parameter.name)
    if parameter.as_json:
        yield f"{name}={_plain(parameter, value, escaped=True)}"
    elif parameter.style == "deepObject":
        yield from _deep(parameter, parameter.name, value)
    elif parameter.explode and isinstance(value, list):
        for each in value:
            yield f"{name}={_escape(_scalar(parameter, each))}"
    elif parameter.explode and isinstance(value, Mapping):
        for key, each in value.items():
            yield f"{_escape(key)}={_escape(_scalar(parameter, each))}"
    else:
        yield f"{name}={_plain(parameter, value, escaped=True)}"


def _deep(parameter: Parameter, name: str, value: Any) -> Iterator[str]:
    """`name[key]=…`, an object inside as `name[key][inner]`, a list as the same name again."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _deep(parameter, f"{name}[{key}]", each)
    elif name == parameter.name:
        raise Unfit(f"the argument {parameter.argument!r} must be an object")
    else:
        for each in value if isinstance(value, list) else [value]:
            yield f"{_escape(name)}={_escape(_scalar(parameter, each))}"


def _plain(parameter: Parameter, value: Any, *, escaped: bool) -> str:
    """As one text: a scalar, or what a list or an object makes with its separators."""
    write = _escape if escaped else str
    if parameter.as_json:
        return write(msgspec.json.encode(value).decode())
    separator = _SEPARATORS.get(parameter.style, ",")
    if isinstance(value, list):
        return separator.join(write(_scalar(parameter, each)) for each in value)
    if isinstance(value, Mapping):
        between = "=" if parameter.explode and parameter.style == "simple" else separator
        pairs = ((write(key), write(_scalar(parameter, each))) for key, each in value.items())
        return separator.join(f"{key}{between}{each}" for key, each in pairs)
    return write(_scalar(parameter, value))


def _scalar(parameter: Parameter, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))  # 1.0 is an integer to JSON Schema, and not to most APIs
    if isinstance(value, int | float):
        return repr(value)
    raise Unfit(f"the argument {parameter.argument!r} is nested deeper than its place can say")


def _body(operation: Operation, arguments: Mapping[str, Any], raw: Mapping[str, Raw]) -> bytes | None:
    if operation.body is None or BODY not in arguments:
        return None
    if not operation.body.is_form:
        return bytes(raw[BODY])
    fields = arguments[BODY]
    if not isinstance(fields, Mapping):
        raise Unfit("the argument 'body' must be an object")
    written = operation.body.fields
    given = [(written.get(key) or _field(key, value), value) for key, value in fields.items()]
    return _joined(given, fields).encode()


def _field(name: str, value: Any) -> Parameter:
    """Of a form, where the document does not say how it is written: a list is the name again, and an object nothing at all."""
    if isinstance(value, Mapping):
        raise Unfit(f"the argument {BODY!r} is nested deeper than its place can say")
    return Parameter(
        BODY, name, "query", False, "form", explode=True, as_json=False, schema=True, description=""
    )
