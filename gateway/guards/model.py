"""Linear models over pieces of text, small enough to ship and quick enough for pure Python.

A text is cut into overlapping segments; a segment's features are the distinct pieces of it that the model knows (characters in
a row, words and word pairs, or the shapes of tokens); its score is the sum of their weights over the root of their number, plus
the weights of its marks: the names of the scanner's rules that match in it, as evidence that the model weighs. The text's score
is its highest segment's, mapped to 0..1. Scripts train with the very functions that score here.

A weights file is text: a line of JSON (kind, bias, floor, marks, threshold, figures), then two tables (the model's and its
gate's) apart by an empty line: a line of the scale and, in base85, one signed byte per piece, then the pieces, one a line.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from gateway.guards.features import Cut, Feature, read, written

Marks = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Segment:
    """The segment that scored highest: a probability, its place in the folded text, and the rules that spoke for it."""

    score: float
    start: int = 0
    end: int = 0
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Linear:
    """`gate` are the weights of single words, and `floor` what they must sum up to before the rest is read: most text ends there."""

    weights: dict[Feature, float]
    marks: dict[str, float]
    bias: float
    kind: str
    about: dict[str, Any]
    gate: dict[Feature, float]
    floor: float

    @cached_property
    def _weighed(self) -> _Weights:
        return _Weights(self.weights)

    @cached_property
    def _gated(self) -> _Weights:
        return _Weights(self.gate)

    def highest(self, cut: Cut, marks: Marks) -> Segment:
        sparing = len(cut.text) > cut.kind.sparing
        if sparing and not self.marked(self.spoken(marks(cut.text))):
            return Segment(0.0)
        best, where = -math.inf, (0, 0)
        spoke: list[str] = []
        full = _Known(self._weighed, cut.half)
        gate = _Known(self._gated, cut.tokens)
        for index, bounds in enumerate(cut.bounds):
            named = marks(cut.piece(index))
            spoken = self.spoken(named)
            if not self.marked(spoken) and (sparing or (self.gate and gate.weight(index) < self.floor)):
                continue
            value = self.bias + spoken + full.weight(index)
            if value > best:
                best, where, spoke = value, bounds, named
        if best == -math.inf:
            return Segment(0.0)
        spoke.sort(key=lambda name: -self.marks.get(name, 0.0))
        return Segment(1 / (1 + math.exp(-max(-30.0, min(30.0, best)))), *where, tuple(spoke))

    def marked(self, spoken: float) -> bool:
        """Whether the rules alone make an attack likelier than not."""
        return spoken > max(0.0, -self.bias)

    def spoken(self, named: list[str]) -> float:
        return sum([self.marks.get(name, 0.0) for name in named])


class _Weights:
    """What pieces weigh, by their numbers: sets of small numbers are joined and summed far sooner than sets of pieces."""

    __slots__ = ("number", "weight")

    def __init__(self, weights: dict[Feature, float]) -> None:
        self.number: Callable[[Feature], Any] = dict(zip(weights, range(len(weights)), strict=True)).get
        self.weight = list(weights.values()).__getitem__


class _Known:
    """The features of a text that one model knows, half by half."""

    __slots__ = ("_half", "_halves", "_number", "_weight")

    def __init__(self, weights: _Weights, half: Callable[[int], Iterable[Feature]]) -> None:
        self._number = weights.number
        self._weight = weights.weight
        self._half = half
        self._halves: dict[int, tuple[set[int], float]] = {}

    def weight(self, index: int) -> float:
        """Of a segment: its halves', and what both know counts once. To join the sets would take four times as long."""
        (first, one), (second, other) = self._of(index), self._of(index + 1)
        both = first & second
        size = len(first) + len(second) - len(both)
        return (one + other - sum(map(self._weight, both))) / math.sqrt(size) if size else 0.0

    def _of(self, index: int) -> tuple[set[int], float]:
        found = self._halves.get(index)
        if found is None:
            numbers = set(map(self._number, self._half(index)))
            numbers.discard(None)
            found = self._halves[index] = numbers, sum(map(self._weight, numbers))
        return found


def dump(model: Linear) -> str:
    """Two lists of names and weights: the model's, and its gate's."""
    marks = {name: round(weight, 3) for name, weight in model.marks.items()}
    head = {
        "kind": model.kind,
        "bias": round(model.bias, 4),
        "marks": marks,
        "floor": round(model.floor, 4),
        **model.about,
    }
    return "\n".join([json.dumps(head), *_table(model.weights), "", *_table(model.gate)]) + "\n"


def _table(weights: dict[Feature, float]) -> list[str]:
    scale = max(map(abs, weights.values()), default=1.0) / 127
    known = {_escaped(written(name)): round(weight / scale) for name, weight in weights.items()}
    kept = sorted(name for name, weight in known.items() if weight)
    quantised = array("b", [known[name] for name in kept]).tobytes()
    return [f"{scale!r} {base64.b85encode(quantised).decode()}", *kept]


def load(text: str) -> Linear:
    head, rest = text.split("\n", 1)
    weights, gate = rest.rstrip("\n").split("\n\n")
    about = json.loads(head)
    return Linear(_weights(weights), about.pop("marks"), about.pop("bias"), about.pop("kind"), about,
                  _weights(gate), about.pop("floor"))  # fmt: skip


def _weights(table: str) -> dict[Feature, float]:
    head, *names = table.split("\n")
    scale, encoded = head.split(" ", 1)
    values = array("b", base64.b85decode(encoded))
    return {read(_unescaped(name)): value * float(scale) for name, value in zip(names, values, strict=True)}


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name if "\\" not in name and name.isascii() else name.encode().decode("unicode_escape")


@cache
def shipped(name: str) -> Linear:
    """The model of this name that comes with the package, read when it is first asked for."""
    return load((resources.files("gateway.guards") / "weights" / f"{name}.txt").read_text("utf-8"))
