"""The parts a configuration's shape is declared with: each reads a node of the file and describes itself as JSON schema.

Reading never stops at the first mistake: a problem is noted with its line, and the reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.config.tree import List, Map, Node, Scalar

Json = dict[str, Any]


class Problem(Struct, frozen=True, order=True):
    line: int
    where: str
    text: str


class Reading(Struct):
    """One reading of a file: how references are resolved, and what was found wrong."""

    resolve: Callable[[str, bool], str]  # raises ValueError; the flag: whole-value references are allowed
    file: Callable[[str], str]  # the text of one beside it; raises ValueError
    problems: list[Problem] = []
    lines: dict[str, int] = {}  # where each key stands, for problems found later

    def wrong(self, node: Node, where: str, text: str) -> None:
        self.problems.append(Problem(node.line, where, text))


class Shape(Protocol):
    def read(self, node: Node, where: str, reading: Reading) -> Any: ...
    def json(self) -> Json: ...


def _scalar(node: Node, where: str, reading: Reading, wanted: str) -> str | None:
    if not isinstance(node, Scalar):
        reading.wrong(node, where, f"must be {wanted}")
        return None
    try:
        return reading.resolve(node.text, False)
    except ValueError as error:
        reading.wrong(node, where, str(error))
        return None


def _or_reference(schema: Json) -> Json:
    """A value may come from the environment: what it will be is not known to an editor."""
    return {"anyOf": [schema, {"type": "string", "pattern": r"\$\{"}]}


class Text(Struct, frozen=True):
    """A string; `check` says what is wrong with it, or nothing; `pattern` tells editors of it as far as they can know."""

    check: Callable[[str], str | None] | None = None
    pattern: str = ""

    def read(self, node: Node, where: str, reading: Reading) -> str | None:
        value = _scalar(node, where, reading, "a string")
        if value is not None and self.check is not None and (wrong := self.check(value)):
            reading.wrong(node, where, wrong)
        return value

    def json(self) -> Json:
        return {"type": "string"} | ({"pattern": rf"{self.pattern}|\$\{{"} if self.pattern else {})


class Secret(Struct, frozen=True):
    """A string that may be a reference as a whole: file:PATH, ssm:/name, secretsmanager:id."""

    def read(self, node: Node, where: str, reading: Reading) -> str | None:
        if not isinstance(node, Scalar):
            reading.wrong(node, where, "must be a string, or a reference such as ${NAME} or file:PATH")
            return None
        try:
            return reading.resolve(node.text, True)
        except ValueError as error:
            reading.wrong(node, where, str(error))
            return None

    def json(self) -> Json:
        return {"type": "string", "description": "${ENV}, file:PATH, ssm:/name or secretsmanager:id"}


class Number(Struct, frozen=True):
    least: float = float("-inf")
    most: float = float("inf")
    whole: bool = False

    def read(self, node: Node, where: str, reading: Reading) -> float | int | None:
        kind = "a whole number" if self.whole else "a number"
        text = _scalar(node, where, reading, kind)
        if text is None:
            return None
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            reading.wrong(node, where, f"must be {kind}, not {text!r}")
            return None
        if not self.least <= value <= self.most:
            open_end = self.most == float("inf")
            bounds = (
                f"at least {self.least:g}" if open_end else f"between {self.least:g} and {self.most:.12g}"
            )
            reading.wrong(node, where, f"must be {bounds}")
        return value

    def json(self) -> Json:
        out: Json = {"type": "integer" if self.whole else "number"}
        if self.least != float("-inf"):
            out["minimum"] = self.least
        if self.most != float("inf"):
            out["maximum"] = self.most
        return _or_reference(out)


class Flag(Struct, frozen=True):
    def read(self, node: Node, where: str, reading: Reading) -> bool | None:
        text = _scalar(node, where, reading, "true or false")
        if text is None:
            return None
        if text.lower() not in ("true", "false"):
            reading.wrong(node, where, f"must be true or false, not {text!r}")
        return text.lower() == "true"

    def json(self) -> Json:
        return _or_reference({"type": "boolean"})


class Choice(Struct, frozen=True):
    values: Sequence[str]
    aliases: Mapping[str, str] = {}

    def read(self, node: Node, where: str, reading: Reading) -> str | None:
        text = _scalar(node, where, reading, "one of " + ", ".join(self.values))
        if text is None:
            return None
        value = self.aliases.get(text, text)
        if value not in self.values:
            reading.wrong(node, where, f"must be one of {', '.join(self.values)}{_meant(text, self.values)}")
        return value

    def json(self) -> Json:
        # YAML 1.1 editors read a bare `off` as false
        return _or_reference(
            {"enum": [*self.values, *self.aliases, *([False] if "off" in self.values else [])]}
        )


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(Struct, frozen=True):
    least: float = 0.0  # seconds

    def read(self, node: Node, where: str, reading: Reading) -> float | None:
        text = _scalar(node, where, reading, "a duration such as 250ms, 60s, 5m, 2h or 90d")
        if text is None:
            return None
        found = _DURATION.fullmatch(text)
        if found is None:
            reading.wrong(node, where, f"must be a duration such as 250ms, 60s, 5m, 2h or 90d, not {text!r}")
            return None
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds < self.least:
            reading.wrong(node, where, f"must be at least {self.least:g}s, not {text!r}")
        return seconds

    def json(self) -> Json:
        return _or_reference({"type": ["string", "number"], "pattern": f"^{_DURATION.pattern}$"})


class ListOf(Struct, frozen=True):
    of: Shape
    lone: bool = False  # one entry may stand without its brackets
    some: bool = False  # at least one

    def read(self, node: Node, where: str, reading: Reading) -> list[Any]:
        if isinstance(node, List):
            if self.some and not node.items:
                reading.wrong(node, where, "must not be empty")
            return [self.of.read(each, f"{where}[{at}]", reading) for at, each in enumerate(node.items)]
        if self.lone:
            return [self.of.read(node, where, reading)]
        reading.wrong(node, where, "must be a list")
        return []

    def json(self) -> Json:
        many: Json = {"type": "array", "items": self.of.json()} | ({"minItems": 1} if self.some else {})
        return {"anyOf": [self.of.json(), many]} if self.lone else many


def _pairs(node: Node, where: str, reading: Reading) -> list[tuple[str, Scalar, Node]]:
    if not isinstance(node, Map):
        reading.wrong(node, where, "must be a mapping (key: value)")
        return []
    out: dict[str, tuple[str, Scalar, Node]] = {}
    for key, value in node.pairs:
        name = key.text
        if name in out:
            reading.wrong(key, where, f"{name} stands twice")
        reading.lines[f"{where}.{name}" if where else name] = key.line
        out[name] = (name, key, value)
    return list(out.values())


class MapOf(Struct, frozen=True):
    of: Shape

    def read(self, node: Node, where: str, reading: Reading) -> dict[str, Any]:
        return {
            name: self.of.read(value, f"{where}.{name}", reading)
            for name, _, value in _pairs(node, where, reading)
        }

    def json(self) -> Json:
        return {"type": "object", "additionalProperties": self.of.json()}


class Key(Struct, frozen=True):
    shape: Shape
    doc: str = ""
    required: bool = False


class Object(Struct, frozen=True):
    """A mapping with known keys. Keys that are not in the file are not in what was read: defaults stand once, in the
    constructors. `fault` says what is wrong with keys that are right, each for itself."""

    keys: Mapping[str, Key]
    fault: Callable[[Json], str | None] | None = None

    def read(self, node: Node, where: str, reading: Reading) -> dict[str, Any]:
        out: dict[str, Any] = {}
        before = len(reading.problems)
        for name, key, value in _pairs(node, where, reading):
            known = self.keys.get(name)
            if known is None:
                reading.wrong(key, where, f"{name} is not a key here{_meant(name, self.keys)}")
            elif not (isinstance(value, Scalar) and value.null):
                out[name] = known.shape.read(value, f"{where}.{name}" if where else name, reading)
        for name, known in self.keys.items():
            if known.required and name not in out and isinstance(node, Map):
                reading.wrong(node, where, f"{name} is missing: {known.doc}")
        if self.fault is not None and len(reading.problems) == before and (wrong := self.fault(out)):
            reading.wrong(node, where, wrong)
        return out

    def json(self) -> Json:
        properties = {name: key.shape.json() | ({"description": key.doc} if key.doc else {})
                      for name, key in self.keys.items()}  # fmt: skip
        required = [name for name, key in self.keys.items() if key.required]
        return {"type": "object", "properties": properties, "additionalProperties": False} | (
            {"required": required} if required else {}
        )


class Either(Struct, frozen=True):
    """One of several shapes, told apart by the kind of node: scalar, sequence, mapping."""

    scalar: Shape | None = None
    sequence: Shape | None = None
    mapping: Shape | None = None

    def read(self, node: Node, where: str, reading: Reading) -> Any:
        kinds = {Scalar: self.scalar, List: self.sequence, Map: self.mapping}
        shape = kinds.get(type(node))
        if shape is None:
            allowed = [word for word, each in (("a value", self.scalar), ("a list", self.sequence),
                                               ("a mapping", self.mapping)) if each]  # fmt: skip
            return reading.wrong(node, where, f"must be {' or '.join(allowed)}")
        return shape.read(node, where, reading)

    def json(self) -> Json:
        return {"anyOf": [s.json() for s in (self.scalar, self.sequence, self.mapping) if s is not None]}


class Anything(Struct, frozen=True):
    """Plain YAML data that its own reader checks."""

    def read(self, node: Node, where: str, reading: Reading) -> Any:
        if isinstance(node, List):
            return [self.read(each, f"{where}[{at}]", reading) for at, each in enumerate(node.items)]
        if isinstance(node, Map):
            return {name: self.read(value, f"{where}.{name}", reading)
                    for name, _, value in _pairs(node, where, reading)}  # fmt: skip
        plain = node.plain()
        return _scalar(node, where, reading, "a string") if isinstance(plain, str) else plain

    def json(self) -> Json:
        return {}


def _meant(word: str, words: Sequence[str] | Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""
