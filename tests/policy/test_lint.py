from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.policy import lint, trial
from gateway.policy.authorization import Authorization

FIFTH = [
    'mcp.tool.name == "read_file"',
    'mcp.tool.name == "list_directory"',
    'mcp.tool.name != "delete_file"',
]


def test_the_fifth_seeds_last_rule_is_found_with_what_its_author_meant() -> None:
    found = lint.warnings(allow=FIFTH, serves="mcp")
    assert len([text for text in found if "OR-ed" in text]) == 1
    assert "deny: ['mcp.tool.name == \"delete_file\"']" in found[0]
    assert not [text for text in lint.warnings(allow=FIFTH[:2], deny=['mcp.tool.name == "delete_file"'], serves="mcp") if "OR-ed" in text]  # fmt: skip


def test_a_negation_is_found_however_it_is_written() -> None:
    for last in ('!(mcp.tool.name == "delete_file")', '(mcp.tool.name != "delete_file")', "mcp.tool.name != 'delete_file'"):  # fmt: skip
        assert any("OR-ed" in text for text in lint.warnings(allow=[*FIFTH[:2], last]))


@pytest.mark.parametrize(
    "allow",
    [
        ['mcp.tool.name != "delete_file"'],
        ['jwt.role == "admin"', 'jwt.role == "user" && mcp.tool.name != "delete_file"'],
        ['jwt.role == "admin"', 'mcp.tool.name != "delete_file"'],
        ['mcp.tool.name != "a"', 'mcp.tool.name == "a"'],
        ['jwt.email.endsWith("@solo.io") && jwt.email_verified == true'],
        ['request.ip in ["10.0.0.0/8", "192.168.1.0/24"]'],
    ],
)
def test_rules_that_mean_what_they_say_are_left_alone(allow: list[str]) -> None:
    assert lint.warnings(allow=allow) == []


@pytest.mark.parametrize(
    "deny",
    [
        '"x-t" in request.headers && request.headers["x-t"] == "a"',
        'has(request.headers.team) && request.headers.team == "a"',
        'default(session.id, "") == "a"',
        'user.startsWith("x")',
    ],
)
def test_a_deny_that_asks_first_is_left_alone(deny: str) -> None:
    assert lint.warnings(deny=[deny]) == []


@pytest.mark.parametrize(
    ("rules", "serves", "words"),
    [
        ({"allow": ["jwt.a == 'x'", "jwt.a in ['x', 'y']"]}, None, "already allows"),
        ({"allow": ["true"]}, None, "same for everybody"),
        ({"deny": ['request.headers["x-team"] == "a"']}, None, 'default(request.headers["x-team"], "")'),
        ({"deny": ['session.id == "a"']}, None, 'default(session.id, "")'),
        ({"require": ['request.ip == "10.0.0.0/8"']}, None, 'request.ip in ["10.0.0.0/8"]'),
        ({"require": ['request.ip in ["10.0.0.0/40"]']}, None, "neither an address nor a network"),
        ({"allow": ['jwt.email.endsWith("solo.io")']}, None, 'endsWith("@solo.io")'),
        ({"deny": ['mcp.tool.name == "x"']}, "llm", "can never matter here"),
        ({"deny": ['llm.model == "x"']}, "mcp", "can never matter here"),
        ({"allow": ['mcp.tool.name == "x"']}, "llm", "every model call is refused"),
        ({"allow": ['mcp.tool.name == "x"']}, "mcp", "every prompt is refused"),
    ],
)
def test_rules_that_cannot_do_what_they_seem_to_are_found(rules: Any, serves: Any, words: str) -> None:
    assert any(words in text for text in lint.warnings(**rules, serves=serves))


def test_a_rule_that_does_not_compile_is_an_error_and_no_warning() -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        lint.warnings(allow=["jwtt.x == 1"])


@pytest.mark.parametrize(
    ("caller", "call", "refused"),
    [
        ({"role": "admin"}, {"tool": "delete_file"}, False),
        ({"role": "user"}, {"tool": "delete_file", "server": "fs", "arguments": {"path": "/x"}}, True),
        ({"role": "user"}, {"tool": "read_file"}, False),
        ({"role": "user"}, {"method": "tools/list"}, False),
        ({"role": "guest"}, {"method": "initialize"}, True),
        ({"key": {"owner": "ada"}}, {"model": "claude-sonnet-5", "headers": {"X-Team": "a"}}, False),
        ({"key": {"owner": "bob"}}, {"model": "claude-sonnet-5"}, True),
        (None, {"tool": "read_file"}, True),
    ],
)
def test_examples_beside_the_rules_are_judged_as_calls_would_be(
    caller: Any, call: Any, refused: bool
) -> None:
    policy = Authorization(allow=['jwt.role == "admin"', 'jwt.role == "user" && mcp.tool.name != "delete_file"',
                                  'key.owner == "ada" && request.headers["x-team"] == "a"'])  # fmt: skip
    assert (trial.decided(policy, caller=caller, call=call) is not None) is refused


@pytest.mark.parametrize("call", [{}, {"tol": "x"}, {"tool": "x", "prompt": "y"}, {"ip": "10.0.0.1"}])
def test_an_example_that_is_none_is_said_to_be_none(call: Any) -> None:
    with pytest.raises(ConfigError, match="a test's call"):
        trial.decided(Authorization(), caller=None, call=call)
