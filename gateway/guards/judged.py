"""A scanner made of rules and one trained model: the rules name what is known, the model weighs them and knows what is like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from gateway.guards import model
from gateway.guards.decode import View
from gateway.guards.features import Cut
from gateway.guards.findings import Finding, Sample, shown
from gateway.guards.patterns import Patterns

TOGETHER = 12  # rules: their automaton would have states by the ten thousand


class Judged:
    """`rules` are RE2 expressions over folded text; the weights of the same name say what they are worth.

    `kind` says what the model reads. `worth` says which texts are worth its time: one without a sign of an attack is skipped.
    """

    def __init__(
        self, name: str, rules: Mapping[str, str], *, kind: str, worth: Callable[[str], bool] = bool
    ) -> None:
        self.name = name
        self.worth = worth
        self._rules = rules
        self.kind = kind

    @cached_property
    def patterns(self) -> Patterns:
        return Patterns(self._rules, together=TOGETHER)

    @cached_property
    def linear(self) -> model.Linear:
        return model.shipped(self.name)

    @property
    def threshold(self) -> float:
        return float(self.linear.about["threshold"])

    def scan(self, sample: Sample) -> list[Finding]:
        found = self.certain(sample)
        for index, view in enumerate(sample.views):
            cut = sample.cut(index, self.kind)
            if self.worth(cut.text) and (segment := self.linear.highest(cut, self.marks)).score:
                found.append(self._finding(view, cut, segment))
        return found

    def certain(self, sample: Sample) -> list[Finding]:
        """What needs no model."""
        return []

    def marks(self, piece: str) -> list[str]:
        """What speaks for an attack in this piece; the model weighs it."""
        return self.patterns.names_in(piece)

    def _finding(self, view: View, cut: Cut, segment: model.Segment) -> Finding:
        # Folding changes lengths a little: the place in the sent text is proportional.
        size = max(1, len(cut.text))
        low = segment.start * len(view.text) // size
        high = min(len(view.text), -(-segment.end * len(view.text) // size))
        rule = segment.marks[0] if segment.marks else "model"
        excerpt = shown(cut.text, segment.start, segment.end)
        return Finding(self.name, rule, *view.span(low, high), segment.score, excerpt, view.how)
