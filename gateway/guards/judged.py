"""A scanner made of rules and one trained model: the rules name what is known, the model weighs them and knows what is like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from gateway.guards import model
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample, shown
from gateway.guards.patterns import Patterns


class Judged:
    """`rules` are RE2 expressions over folded text; the weights of the same name say what they are worth.

    `lines` keeps line breaks. `worth` says which texts are worth the model's time: one without a mark of an attack is skipped.
    """

    def __init__(
        self, name: str, rules: Mapping[str, str], *, lines: bool = False, worth: Callable[[str], bool] = bool
    ) -> None:
        self.name = name
        self.worth = worth
        self._rules = rules
        self._lines = lines

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
        forms = [(view, self.form(view)) for view in sample.views]
        return [self._judge(view, folded) for view, folded in forms if self.worth(folded)]

    def marks(self, piece: str) -> list[str]:
        """What speaks for an attack in this piece; the model weighs it."""
        return self.patterns.names_in(piece)

    def form(self, view: View) -> str:
        return view.lines if self._lines else view.folded

    def _judge(self, view: View, folded: str) -> Finding:
        segment = self.linear.highest(folded, self.marks)
        # Folding changes lengths a little: the place in the sent text is proportional.
        size = max(1, len(folded))
        low = segment.start * len(view.text) // size
        high = min(len(view.text), -(-segment.end * len(view.text) // size))
        rule = segment.marks[0] if segment.marks else "model"
        excerpt = shown(folded, segment.start, segment.end)
        return Finding(self.name, rule, *view.span(low, high), segment.score, excerpt, view.how)
