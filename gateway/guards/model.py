"""Linear models over pieces of text, small enough to ship and quick enough for pure Python.

A text is cut into overlapping segments; a segment's features are the distinct pieces of it that the model knows (characters in
a row, words and word pairs, or the shapes of tokens); its score is the sum of their weights over the root of their number, plus
the weights of its marks: the names of the scanner's rules that match in it, as evidence that the model weighs. The text's score
is its highest segment's, mapped to 0..1. Scripts train with the very functions that score here.

A weights file is text: a line of JSON (kind, bias, scale, marks, threshold, figures), a line of base85 with one signed byte per
piece, then the pieces, one a line.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from gateway.guards.features import Cut

SPOKEN = 1.0  # the weight of marks from which a segment of a long text is worth scoring
Marks = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Segment:
    """The segment that scored highest: a probability, its place in the folded text, and the rules that spoke for it."""

    score: float
    start: int = 0
    end: int = 0
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Linear:
    weights: dict[str, float]
    marks: dict[str, float]
    bias: float
    kind: str
    about: dict[str, Any]

    def highest(self, cut: Cut, marks: Marks) -> Segment:
        best, where = -math.inf, (0, 0)
        spoke: list[str] = []
        sparing = len(cut.text) > cut.kind.sparing
        known = _Known(self.weights, cut)
        for index, bounds in enumerate(cut.bounds):
            named = marks(cut.piece(index))
            value = self.bias + sum([self.marks.get(name, 0.0) for name in named])
            if sparing and value < self.bias + SPOKEN:
                continue
            value += known.weight(index)
            if value > best:
                best, where, spoke = value, bounds, named
        spoke.sort(key=lambda name: -self.marks.get(name, 0.0))
        return Segment(1 / (1 + math.exp(-max(-30.0, min(30.0, best)))), *where, tuple(spoke))


class _Known:
    """The features of a text that one model knows, half by half."""

    __slots__ = ("_cut", "_halves", "_weights")

    def __init__(self, weights: dict[str, float], cut: Cut) -> None:
        self._weights = weights
        self._cut = cut
        self._halves: dict[int, set[str]] = {}

    def weight(self, index: int) -> float:
        known = self._half(index) | self._half(index + 1)
        return sum(map(self._weights.__getitem__, known)) / math.sqrt(len(known)) if known else 0.0

    def _half(self, index: int) -> set[str]:
        found = self._halves.get(index)
        if found is None:
            found = self._halves[index] = self._weights.keys() & self._cut.half(index)
        return found


def dump(model: Linear) -> str:
    scale = max(map(abs, model.weights.values())) / 127
    kept = sorted(name for name, weight in model.weights.items() if round(weight / scale))
    quantised = array("b", [round(model.weights[name] / scale) for name in kept]).tobytes()
    marks = {name: round(weight, 3) for name, weight in model.marks.items()}
    head = {"kind": model.kind, "bias": round(model.bias, 4), "scale": scale, "marks": marks, **model.about}
    return "\n".join([json.dumps(head), base64.b85encode(quantised).decode(), *map(_escaped, kept)]) + "\n"


def load(text: str) -> Linear:
    head, encoded, *names = text.rstrip("\n").split("\n")
    about = json.loads(head)
    values = array("b", base64.b85decode(encoded))
    scale = about.pop("scale")
    weights = {_unescaped(name): value * scale for name, value in zip(names, values, strict=True)}
    return Linear(weights, about.pop("marks"), about.pop("bias"), about.pop("kind"), about)


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name if "\\" not in name and name.isascii() else name.encode().decode("unicode_escape")


@cache
def shipped(name: str) -> Linear:
    """The model of this name that comes with the package, read when it is first asked for."""
    return load((resources.files("gateway.guards") / "weights" / f"{name}.txt").read_text("utf-8"))
