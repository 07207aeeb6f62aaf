"""How long a model's answers are: what to reserve for one that is not written yet."""

from __future__ import annotations

from collections import deque

KEPT = 128  # answers of each model
MODELS = 256
ENOUGH = 8  # fewer say nothing yet
DEFAULT = 4096
_EVERY = 8  # answers between two looks at the percentile


class Outputs:
    def __init__(self, *, default: int = DEFAULT) -> None:
        self._default = default
        self._recent: dict[str, deque[int]] = {}
        self._p90: dict[str, int] = {}
        self._seen = 0

    def expect(self, model: str, limit: int | None) -> int:
        """min(max_tokens, p90 of recent outputs)"""
        likely = self._p90.get(model, self._default)
        return likely if limit is None or likely < limit else limit

    def note(self, model: str, tokens: int) -> None:
        recent = self._recent.get(model)
        if recent is None:
            if len(self._recent) >= MODELS:
                self._recent.clear()
                self._p90.clear()
            recent = self._recent[model] = deque(maxlen=KEPT)
        recent.append(tokens)
        self._seen += 1
        if len(recent) == ENOUGH or (len(recent) > ENOUGH and self._seen % _EVERY == 0):
            self._p90[model] = sorted(recent)[len(recent) * 9 // 10]
