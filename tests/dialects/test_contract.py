"""Every dialect module keeps the contract, whole or one half of it, with the contract's own parameters."""

from __future__ import annotations

from inspect import isclass, signature
from typing import Any

import pytest

from gateway.llm.dialects import MODULES, dialect
from gateway.llm.dialects.protocol import Dialect

TOWARDS = {"write_request", "reader", "read_answer", "read_count", "read_error"}
FROM = {"read_request", "writer", "write_answer", "write_count", "write_models"}
SAME = {"forward", "watcher", "usage_of"}


def parameters(function: Any) -> list[str]:
    """Those that a caller must give: a clock may stand after them, with its default."""
    found = signature(function.__init__ if isclass(function) else function).parameters
    return [name for name, each in found.items() if name != "self" and each.default is each.empty]


def test_the_halves_are_the_whole_contract() -> None:
    assert {name for name in vars(Dialect) if not name.startswith("_")} == TOWARDS | FROM | SAME


# What a wire has no request for.
WITHOUT = {
    "openai-chat": {"read_count", "write_count"},
    "bedrock": {"write_models"},
    "bedrock-converse": {"read_count"},
    "vertex": {"write_models"},
}


@pytest.mark.parametrize("name", MODULES)
def test_a_dialect_keeps_a_half_or_both(name: str) -> None:
    module = dialect(name)
    had = {each for each in TOWARDS | FROM | SAME if hasattr(module, each)} | WITHOUT.get(name, set())
    assert had >= TOWARDS
    assert not FROM & had or had >= FROM | SAME
    for each in had - WITHOUT.get(name, set()):
        assert parameters(getattr(module, each)) == parameters(getattr(Dialect, each)), each
