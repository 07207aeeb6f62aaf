"""A scanner made of rules and one trained model: the rules name what is known, the model weighs them and knows what is like it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from gateway.guards import field_values, model
from gateway.guards.decode import View
from gateway.guards.features import Cut
from gateway.guards.findings import Finding, Sample, shown
from gateway.guards.patterns import Patterns


class Judged:
    """`rules` are RE2 expressions over folded text; the weights of the same name say what they are worth.

    `kind` says what the model reads. `worth` says which texts are worth its time: one without a sign of an attack is skipped.
    With `by_field` a JSON document or a query string is judged field by field. `by_words` and `needs` are those of `Patterns`.
    """

    def __init__(
        self,
        name: str,
        rules: Mapping[str, str],
        *,
        kind: str,
        worth: Callable[[str], bool] = bool,
        needs: Mapping[str, str] | None = None,
        by_words: bool = False,
        by_field: bool = False,
    ) -> None:
        self.name = name
        self.worth = worth
        self._rules = rules
        self._needs = needs
        self.kind = kind
        self._by_words = by_words
        self._by_field = by_field

    @cached_property
    def patterns(self) -> Patterns:
        return Patterns(self._rules, by_words=self._by_words, needs=self._needs)

    @cached_property
    def linear(self) -> model.Linear:
        return model.shipped(self.name)

    @property
    def threshold(self) -> float:
        return float(self.linear.about["threshold"])

    def scan(self, sample: Sample) -> list[Finding]:
        found = self.certain(sample)
        for view, cut in self.cuts(sample):
            if (segment := self.linear.highest(cut, self.looking(view, cut))).score:
                found.append(self._finding(view, cut, segment))
        return found

    def cuts(self, sample: Sample) -> Iterator[tuple[View, Cut]]:
        """The views of a text that are worth the model's time, as it reads them."""
        form, texts = field_values.values(sample.text) if self._by_field else ("", [])
        if not form:
            yield from self._worthy(sample)
        for text in texts:
            for view, cut in self._worthy(Sample(text)):
                how = f"{form}>{view.how}" if view.how else form
                yield replace(view, start=0, end=len(sample.text), how=how), cut

    def _worthy(self, sample: Sample) -> Iterator[tuple[View, Cut]]:
        for index, view in enumerate(sample.views):
            cut = sample.cut(index, self.kind)
            if self.worth(cut.text):
                yield view, cut

    def certain(self, sample: Sample) -> list[Finding]:
        """What needs no model."""
        return []

    def looking(self, view: View, cut: Cut) -> model.Marks:
        """How marks are found in the pieces of a text: few rules match anywhere in prose, and only those are looked for."""
        if cut.kind.lines:  # a rule may speak of where a piece begins
            return self.marks
        found = self.candidates(view)
        if len(cut.bounds) == 1:
            return lambda _: [name for name, _ in found]
        return lambda piece: [name for name, rule in found if rule.search(piece)]

    def candidates(self, view: View) -> list[tuple[str, Any]]:
        if self.name not in view.matching:
            view.matching[self.name] = self.patterns.matching(view.folded)
        return view.matching[self.name]

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
