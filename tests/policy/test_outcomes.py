import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call import Call, Operation, Principal
from gateway.policy import cel
from gateway.policy.errors import CelError
from gateway.policy.possible import Part
from gateway.policy.rules import Rules, _valueless
from gateway.policy.variables import Values

NAMES = ("a", "read_file", "delete_file")
LEAF = st.sampled_from([
    'mcp.tool.name == "read_file"', 'mcp.tool.name != "delete_file"', 'mcp.tool.name in ["a", "b"]', 'mcp.tool.server == "fs"',
    'mcp.tool.arguments.path.startsWith("/w")', "mcp.tool.name < 1", 'jwt.role == "user"', 'jwt.role != "guest"', "jwt.level > 2",
    "jwt.missing == 1", "true", "false", "1 / 0 == 1", 'request.path == "/mcp"',
])  # fmt: skip
RULE = st.recursive(LEAF, lambda inner: st.one_of(
    st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    inner.map(lambda text: f"!({text})"),
    st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) ? ({t[1]}) : ({t[2]})"),
), max_leaves=6)  # fmt: skip
CLAIMS = st.one_of(st.none(), st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["user", "guest", "admin"]), "level": st.sampled_from([1, 3, "high"])}))  # fmt: skip


def call(claims: Any) -> Call:
    principal = (
        Principal("x", "jwt", claims=claims) if claims is not None else Principal("anonymous", "anonymous")
    )
    return Call("r", time.time(), 0, "/mcp", principal=principal)


def values(claims: Any, op: Operation) -> Values:
    return Values(call(claims), op)


def calls() -> list[Operation]:
    return [Operation("mcp", "tools/call", subject="tool", name=name, server="fs", arguments=arguments)
            for name in NAMES for arguments in ({}, {"path": "/w/x"}, {"path": "/x"})]  # fmt: skip


def result(expression: cel.Expression, given: Values) -> str:
    try:
        return "true" if expression.holds(given) else "false"
    except CelError:
        return "error"


@settings(max_examples=200, deadline=None)
@given(text=RULE, claims=CLAIMS)
def test_whatever_a_rule_says_of_some_call_was_among_what_it_could_say_of_the_list(
    text: str, claims: Any
) -> None:
    expression = cel.compile(text)
    listed = Part(expression).outcomes(values(claims, Operation("mcp", "tools/list")), _valueless)
    for op in calls():
        said = result(expression, values(claims, op))
        assert said == "error" or said in listed, (text, op)


@settings(max_examples=200, deadline=None)
@given(
    allow=st.lists(RULE, max_size=2),
    deny=st.lists(RULE, max_size=1),
    require=st.lists(RULE, max_size=1),
    claims=CLAIMS,
)
def test_whoever_may_make_some_call_may_initialize_and_sees_that_tool(
    allow: list[str], deny: list[str], require: list[str], claims: Any
) -> None:
    rules = Rules(allow=allow, deny=deny, require=require)
    for op in calls():
        if rules.denial(call(claims), op) is None:
            assert rules.denial(call(claims), Operation("mcp", "initialize")) is None
            listed = Operation("mcp", "tools/list", subject="tool", name=op.name, server="fs")
            assert rules.denial(call(claims), listed) is None
