"""Which scanners a file names, so that they are ready before a running gateway needs them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.build_policies import prepare, scanners_in
from gateway.guards import registry

FILES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "none": ({"routes": [{"path": "/", "policies": {}}]}, set()),
    "of everybody": ({"policies": {"guard": {"request": ["pii", {"scanner": "secrets"}]}}}, {"pii", "secrets"}),
    "of a route": ({"routes": [{"policies": {"guard": {"invocation": ["tool_poisoning"]}}}]}, {"tool_descriptions"}),
    "patterns, and what is none": ({"policies": {"guard": {"request": [{"regex": "x"}, "nothing"], "budget": 1}}}, set()),
    "outside of a guard": ({"secrets": {"request": ["pii"]}}, set()),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_the_scanners_of_a_file_are_found_wherever_a_guard_stands(case: str) -> None:
    file, names = FILES[case]
    assert scanners_in(file) == names


def test_what_was_prepared_is_ready_when_a_guard_is_made() -> None:
    prepare({"policies": {"guard": {"request": ["pii"]}}})
    before = registry.ready.cache_info().hits
    registry.ready("pii")
    assert registry.ready.cache_info().hits == before + 1
