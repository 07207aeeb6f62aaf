"""A scanner made of a few precise rules and one trained model: rules name what is known, the model what is like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from gateway.guards import model
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample, shown
from gateway.guards.patterns import Patterns

RULE = 0.95  # a rule's score: above every threshold that makes sense


class Judged:
    """`rules` are RE2 expressions over the folded text; `weights` names the model; `worth` may skip a view for the model."""

    def __init__(
        self,
        name: str,
        *,
        rules: Mapping[str, str],
        worth: Callable[[View], bool] = lambda view: True,
    ) -> None:
        self.name = name
        self._rules = rules
        self._worth = worth

    @cached_property
    def patterns(self) -> Patterns:
        return Patterns(self._rules)

    @cached_property
    def linear(self) -> model.Linear:
        return model.shipped(self.name)

    @property
    def threshold(self) -> float:
        return float(self.linear.about["threshold"])

    def scan(self, sample: Sample) -> list[Finding]:
        found: list[Finding] = []
        for view in sample.views:
            found += self._by_rule(view)
            if self._worth(view):
                found.append(self._by_model(view))
        return found

    def _by_rule(self, view: View) -> list[Finding]:
        folded = view.folded
        return [
            self._finding(view, rule, match.start(), match.end(), RULE)
            for rule, match in self.patterns.find(folded)
        ]

    def _by_model(self, view: View) -> Finding:
        score, start, end = self.linear.score(view.folded)
        return self._finding(view, "model", start, end, score)

    def _finding(self, view: View, rule: str, start: int, end: int, score: float) -> Finding:
        excerpt = shown(view.folded, start, end)
        size = max(1, len(view.folded))
        # Folding changes lengths a little: the place in the sent text is proportional, widened to whole characters.
        low, high = (
            (start * len(view.text)) // size,
            min(len(view.text), -(-end * len(view.text) // size)),
        )
        return Finding(self.name, rule, *view.span(low, high), score, excerpt, view.how)
