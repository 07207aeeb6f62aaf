import subprocess
import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.call import Call, Operation, Principal
from gateway.errors import ConfigError
from gateway.policy import cel
from gateway.policy.errors import CelError
from gateway.policy.variables import Values

ENGINES = ("cel-python", "cel-cpp")


def values(claims: dict[str, Any] | None = None, **facts: Any) -> Values:
    principal = Principal("jwt:a", "jwt", claims=claims or {})
    op = Operation("mcp", "tools/call", subject="tool", name="read_file", server="fs", arguments=facts.pop("arguments", {}))  # fmt: skip
    return Values(Call("r", time.time(), 0, **{"path": "/mcp", "principal": principal, **facts}), op)


def outcome(text: str, engine: Any, given: Values) -> Any:
    try:
        return cel.compile(text, engine=engine).evaluate(given)
    except CelError:
        return CelError


CLAIM = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.0, 1.0, 2.5, -1.0]),
                  st.sampled_from(["", "a", "admin", "1", "/workspace/x"]), st.lists(st.sampled_from(["a", "admin", 1]), max_size=3),
                  st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2), max_size=2))  # fmt: skip
CLAIMS = st.dictionaries(st.sampled_from(["role", "level", "groups"]), CLAIM, max_size=3)
ATOMS = ["jwt.role", "jwt.level", "jwt.groups", "mcp.tool.name", "mcp.tool.arguments.path", '"admin"', '"a"', "1", "1.0", "true",
         "null", '["a", "admin"]', "[1, 2]", '{"a": 1}', "jwt.missing", "llm.model"]  # fmt: skip
RELATIONS = ["==", "!=", "<", "<=", ">", ">=", "in"]
ATOM = st.sampled_from(ATOMS)
LEAF = st.one_of(
    st.tuples(ATOM, st.sampled_from(RELATIONS), ATOM).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
    ATOM.map(lambda a: f"has({a})" if a.count(".") and a[0].isalpha() else a),
    st.tuples(ATOM, st.sampled_from(["startsWith", "endsWith", "contains"])).map(
        lambda t: f'({t[0]}).{t[1]}("a")'
    ),
    st.tuples(ATOM, ATOM).map(lambda t: f"default({t[0]}, {t[1]}) == {t[1]}"),
    ATOM.map(lambda a: f'({a}).exists(x, x == "admin")'),
    ATOM.map(lambda a: f"({a}).all(x, x != 1)"),
)
RULE = st.recursive(LEAF, lambda inner: st.one_of(
    st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    inner.map(lambda text: f"!({text})"),
    st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) ? ({t[1]}) : ({t[2]})"),
), max_leaves=6)  # fmt: skip


@settings(max_examples=300, deadline=None)
@example(text='null in {"a": 1}', claims={}, arguments={})
@given(text=RULE, claims=CLAIMS, arguments=st.dictionaries(st.sampled_from(["path", "n"]), CLAIM, max_size=2))
def test_both_engines_say_the_same_of_every_rule(text: str, claims: dict[str, Any], arguments: dict[str, Any]) -> None:  # fmt: skip
    given = values(claims, arguments=arguments)
    python, cpp = (outcome(text, engine, given) for engine in ENGINES)
    assert (python is True, python is False) == (cpp is True, cpp is False), text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failing_engine_is_never_true(engine: Any) -> None:
    """Google's engine answers an error with a value that Python takes for true."""
    for text in ("jwt.missing == 1", "jwt.missing", "1 / 0 == 1", "mcp.prompt.name == 'x'"):
        expression = cel.compile(text, engine=engine)
        with pytest.raises(CelError):
            expression.holds(values())
        with pytest.raises(CelError):  # remembered errors are errors too
            expression.holds(values())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_worked_out_for_one_value_is_not_taken_for_an_equal_one_of_another_type(engine: Any) -> None:
    expression = cel.compile("type(jwt.level) == int", engine=engine)
    found = [expression.evaluate(values({"level": level})) for level in (1, True, 1.0, 1, True, "1")]
    assert found == [True, False, False, True, False, False]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_result_is_remembered_by_everything_the_rule_reads(engine: Any) -> None:
    expression = cel.compile('jwt.role == "admin" && default(jwt.team, "x") == "x"', engine=engine)
    assert expression.reads == (("jwt", "role"), ("jwt", "team"))
    assert expression.evaluate(values({"role": "admin"})) is True
    assert expression.evaluate(values({"role": "user"})) is False
    assert expression.evaluate(values({"role": "admin", "team": "y"})) is False
    assert expression.evaluate(values({"role": "admin"})) is True


def test_an_expression_names_what_it_reads() -> None:
    text = 'jwt.groups.exists(g, g == "x") && request.headers["X-Team"] in mcp.tool.arguments.teams'
    assert cel.compile(text).reads == (("jwt", "groups"), ("mcp", "tool", "arguments", "teams"), ("request", "headers", "x-team"))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jwt.role ==", "not a CEL expression"),
        ("", "not a CEL expression"),
        ('jwtt.role == "x"', "did you mean jwt"),
        ('mcp.tool.nme == "x"', "did you mean name"),
        ("request.uri == '/'", "request.uri does not exist"),
        ("agent.name == 'x'", "agent is a text"),
        ("mcp.tol.name == 'x'", "did you mean tool"),
        ("llm.outputTokens > 5", "known only when a call is over"),
        ("frobnicate(jwt.x)", "frobnicate() is not a function"),
        ("has(1, 2)", "has() takes one argument"),
        ("jwt.groups.exists(g, default(g, 1) == 1)", "variable of a loop"),
        ("jwt.groups.exists(nested_activation, true)", "takes a variable"),
        ("jwt.groups.exists(__class__, true)", "takes a variable"),
        ('jwt.sub.startWith("a")', "did you mean startsWith"),
        ("a" * 5000, "4096"),
        ("(" * 300 + "1" + ")" * 300, "nested too deeply"),
        ("!" * 2000 + "true", "nested too deeply"),
        ("[1].all(a, [1].all(b, [1].all(c, true)))", "at most 2 loops"),
    ],
)
def test_what_cannot_work_is_refused_when_the_file_is_read(text: str, message: str) -> None:
    for engine in ENGINES:
        with pytest.raises(ConfigError) as refused:
            cel.compile(text, engine=engine)  # type: ignore[arg-type]
        assert message in str(refused.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("mcp.tool.arguments.a.all(x, mcp.tool.arguments.a.exists(y, x == y))", {"a": list(range(5000))}),
        ("mcp.tool.arguments.a.all(x, x != -1)", {"a": list(range(200_000))}),
        ("mcp.tool.arguments.a == mcp.tool.arguments.b", {"a": [[0] * 1000] * 1000, "b": 1}),
        ('mcp.tool.arguments.a.matches("^(a+)+$")', {"a": "a" * 100_000 + "!"}),
        ('mcp.tool.arguments.a.regexReplace("(a*)*b", "x") == "x"', {"a": "a" * 100_000}),
        ("json(mcp.tool.arguments.a) == 1", {"a": "[" * 100_000}),
    ],
)
def test_row_40_a_cost_bomb_ends_quickly_and_lets_nothing_through(engine: Any, text: str, arguments: dict[str, Any]) -> None:  # fmt: skip
    expression = cel.compile(text, engine=engine)
    started = time.thread_time()
    found = outcome(text, engine, values(arguments=arguments))
    assert found is not True
    assert time.thread_time() - started < 1.0
    assert expression.source.loops <= 2


def test_results_are_not_remembered_without_end() -> None:
    expression, caller = cel.compile('jwt.sub == "x"'), values({"sub": "x"})
    assert caller.call.principal is not None
    claims = caller.call.principal.claims
    tracemalloc.start()
    for n in range(3 * cel.REMEMBERED):
        claims["sub"] = str(n).zfill(cel.LONG)  # type: ignore[index]
        expression.evaluate(caller)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2 * cel.REMEMBERED * cel.LONG


@pytest.mark.parametrize(("asked", "googles"), [("", True), (", engine='cel-python'", False)])
def test_the_default_engine_is_googles_where_it_is_installed(asked: str, googles: bool) -> None:
    code = f"import sys; from gateway.policy import cel; cel.compile('true'{asked}); print('cel_expr_python' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(googles)
