"""A decision that was made before is found again, and only by whom and what it was made for."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call import ANONYMOUS, Attribution, Call, Operation, Principal
from gateway.policy.rules import Rules

LEAVES = (
    'principal.kind == "key"', '"ops" in principal.groups', 'jwt.role == "admin"', 'key.owner == "ada"', 'user == "ada"',
    'agent.startsWith("a")', 'session.id == "s1"', 'request.path == "/mcp"', 'request.method == "POST"', 'request.ip in ["10.0.0.0/8"]',
    'request.route == "/mcp"', 'request.dialect == "mcp"', 'llm.model == "claude"', 'llm.requestModel != "claude"', "llm.stream",
    "llm.maxTokens < 10", 'llm.operation == "messages"', 'mcp.tool.name == "read"', 'mcp.tool.server != "fs"', 'mcp.tool.exposed == "fs_read"',
    'mcp.prompt.name == "greeting"', 'mcp.resource.target == "fs"', 'mcp.method == "tools/call"', 'mcp.task.name == "read"',
)  # fmt: skip
# It always says the same, but a header is nothing that a decision is remembered by.
UNREMEMBERED = 'request.headers["x-same"] == "same"'
PRINCIPALS = (
    ANONYMOUS,
    Principal("key:k1", "key", groups=("ops",), key={"id": "k1", "owner": "ada"}),
    Principal("key:k1", "key", groups=(), key={"id": "k1", "owner": "bob"}),
    Principal("jwt:i#a", "jwt", claims={"role": "admin"}),
    Principal("jwt:i#a", "jwt", claims={"role": "user"}),
    Principal("jwt:i#a", "jwt", claims={}),
)
OPERATIONS = (
    Operation("llm", "messages", model="claude", max_tokens=5),
    Operation("llm", "messages", model="claude", stream=True),
    Operation("llm", "messages", model="gpt", max_tokens=50),
    Operation("llm", "models", False),
    Operation("mcp", "initialize", False),
    Operation("mcp", "", False),
    *(
        Operation("mcp", method, subject=subject, server=server, name="read", exposed=f"{server}_read")
        for method, subject in (("tools/call", "tool"), ("tools/list", "tool"), ("prompts/get", "prompt"), ("resources/read", "resource"))
        for server in ("fs", "git")
    ),
    Operation("http", "GET", False),
)  # fmt: skip


def call(
    path: str,
    verb: str,
    dialect: Any,
    route: str,
    ip: str,
    principal: Principal,
    user: str,
    agent: str,
    session: str,
) -> Call:
    attribution = Attribution(user=user, agent=agent, session=session)
    return Call("r", 0.0, 0, path, verb, dialect, ip=ip, route=route, principal=principal, attribution=attribution,
                headers={"x-same": "same"})  # fmt: skip


CHOICES: tuple[Any, ...] = (
    ["/mcp", "/v1/messages"], ["POST", "GET"], ["mcp", "anthropic"], ["/", "/mcp"], ["10.1.2.3", "192.0.2.1"], PRINCIPALS,
    ["", "ada"], ["", "a1", "b1"], ["", "s1"],
)  # fmt: skip
CALLS = st.builds(call, *map(st.sampled_from, CHOICES))
RULES = st.fixed_dictionaries({}, optional={kind: st.lists(st.sampled_from(LEAVES), max_size=2) for kind in ("allow", "deny", "require")})  # fmt: skip


@settings(deadline=None)
@given(RULES, st.lists(st.tuples(CALLS, st.sampled_from(OPERATIONS)), min_size=5, max_size=25))
def test_a_decision_is_the_same_remembered_or_not(
    rules: dict[str, Any], asked: list[tuple[Call, Operation]]
) -> None:
    remembering = Rules(**rules)
    always = Rules(**{**rules, "require": [*rules.get("require", ()), UNREMEMBERED]})
    for one, op in asked * 2:
        assert remembering.denial(one, op) == always.denial(one, op)


def test_each_rule_alone_sees_each_difference() -> None:
    firsts, calls = [values[0] for values in CHOICES], []
    for index, values in enumerate(CHOICES):
        calls += [call(*firsts[:index], value, *firsts[index + 1 :]) for value in values]
    for leaf in LEAVES:
        remembering, always = Rules(allow=[leaf]), Rules(allow=[leaf], require=[UNREMEMBERED])
        for one in calls:
            for op in OPERATIONS:
                assert remembering.denial(one, op) == always.denial(one, op), (leaf, one.principal, op)


@pytest.mark.parametrize("rule", ['llmRequest.user == "ada"', 'request.headers["x-team"] == "a"', 'mcp.tool.arguments.path == "/a"',
                                  'request.body.contains("yes")', 'llmRequest.model == "m"'])  # fmt: skip
def test_what_may_differ_with_every_call_is_asked_each_time(rule: str) -> None:
    rules = Rules(allow=[rule])
    yes = Call("r", 0.0, 0, "/", headers={"x-team": "a"}, body=b'{"user": "ada", "model": "m", "say": "yes"}')
    no = Call("r", 0.0, 0, "/", headers={"x-team": "b"}, body=b'{"user": "bob", "model": "n", "say": "no"}')

    def op(path: str) -> Operation:
        if "mcp" in rule:
            return Operation("mcp", "tools/call", subject="tool", name="t", arguments={"path": path})
        return Operation("llm", "models")

    for _ in range(2):
        assert rules.denial(yes, op("/a")) is None
        assert rules.denial(no, op("/b")) is not None


def test_what_is_remembered_is_bounded() -> None:
    rules, one = Rules(deny=['llm.model == "none"']), Call("r", 0.0, 0, "/")
    tracemalloc.start()
    try:
        for number in range(50):
            assert rules.denial(one, Operation("llm", "messages", model=f"{number:0100000}")) is None
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
        for number in range(5000):
            assert rules.denial(one, Operation("llm", "messages", model=f"{number:01000}")) is None
        assert tracemalloc.get_traced_memory()[0] < 6_000_000
    finally:
        tracemalloc.stop()
