"""Rules as they are written: aliases, defaults, and every mistake said at once."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.guards.rules import guard_from, rules_from


def test_the_seeds_names_are_aliases_and_a_bare_name_means_reject_for_tools() -> None:
    built = guard_from(
        {"discovery": ["tool_poisoning", "secrets_in_description"], "invocation": ["pii_in_arguments"]}
    )
    assert [(r.scanner, r.action) for r in built["discovery"]] == [
        ("tool_descriptions", "reject"),
        ("secrets", "reject"),
    ]
    assert [(r.scanner, r.action) for r in built["invocation"]] == [("pii", "reject")]


def test_scanners_of_prompts_and_answers_watch_first() -> None:
    assert [r.action for r in rules_from(["pii", {"scanner": "secrets"}])] == ["audit", "audit"]


def test_an_injection_scanner_does_not_read_the_operators_own_system_prompt_unless_told() -> None:
    (default,) = rules_from(["prompt_injection"])
    assert not default.covers("system")
    assert default.covers("tool_results")
    (told,) = rules_from([{"scanner": "prompt_injection", "in": ["system"]}])
    assert told.covers("system")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        guard_from({
            "request": [{"regex": "(unclosed"}, {"regex": "a", "scanner": "pii"}, {"scanner": "magic"}, {"scanner": "pii", "action": "explode"},
                        {"regex": "(?=a)b"}, {"scanner": "pii", "threshold": 3}, {"scanner": "pii", "in": ["kitchen"]}, {"regx": "a"}],
            "invocation": [{"scanner": "pii", "in": ["tools"]}],
        })  # fmt: skip
    said = str(caught.value)
    for index in range(8):
        assert f"request[{index}]" in said
    assert "invocation[0]" in said


def test_the_seeds_patterns_work_as_written() -> None:
    (first,) = rules_from([{"regex": "ignore (previous|all) instructions", "action": "REJECT"}])
    assert (first.action, first.name) == ("reject", "ignore (previous|all) instructions")
    rules_from([{"regex": "(?i)ignore (?:all |any )?(?:previous |prior )?instructions", "action": "reject"}])
