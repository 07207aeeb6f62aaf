"""A rule's need is only a shorter way of saying where it cannot match."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.guards import prompt_injection, tool_descriptions

CASES = [
    (name, module.RULES[name], need)
    for module in (prompt_injection, tool_descriptions)
    for name, need in module.NEEDS.items()
]


@pytest.mark.parametrize(("name", "rule", "need"), CASES, ids=[name for name, _, _ in CASES])
def test_no_rule_matches_where_its_need_is_not_met(name: str, rule: str, need: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.from_regex(re.compile(rule, re.A), alphabet=st.characters(codec="ascii")))
    def holds(text: str) -> None:
        assert re2.search(rule, text) is None or re2.search(need, text) is not None

    holds()
