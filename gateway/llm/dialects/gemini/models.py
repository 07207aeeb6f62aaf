"""What a Gemini model can do, read off its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION = re.compile(r"gemini-(\d+(?:\.\d+)?)")
NEWEST = 3.0  # what a name without a version is taken for


@dataclass(frozen=True, slots=True)
class Family:
    generation: float
    flash: bool
    vertex: bool
    call_ids: bool  # functionCall.id is accepted

    @classmethod
    def of(cls, model: str, quirks: frozenset[str]) -> Family:
        found = _VERSION.search(model)
        generation = float(found[1]) if found else NEWEST
        vertex = "vertex" in quirks
        ids = "no_call_ids" not in quirks and (generation >= 3 or (generation >= 2 and not vertex))
        return cls(generation, "flash" in model, vertex, ids)

    @property
    def levels(self) -> bool:
        """Thinking has named levels, calls must carry signatures, and results may hold media."""
        return self.generation >= 3

    @property
    def thinks(self) -> bool:
        return self.generation >= 2.5

    @property
    def output_limit(self) -> int:
        return 65_535 if self.thinks else 8_192
