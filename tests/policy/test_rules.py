"""The rules of the seeds as they stand there, and what their authors meant."""

import time
from typing import Any

import pytest

from gateway.call import ANONYMOUS, Attribution, Call, Operation, Principal
from gateway.policy.authorization import Authorization
from gateway.policy.rules import Rules
from gateway.policy.variables import Values

EMAIL = 'jwt.email.endsWith("@solo.io") && jwt.email_verified == true'
ROLES = ['jwt.role == "admin"', 'jwt.role == "user" && mcp.tool.name != "delete_file"']
TOOLS = 'mcp.tool.name in ["read_file", "list_directory", "search"]'
NETWORKS = 'request.ip in ["10.0.0.0/8", "192.168.1.0/24"]'


def jwt(**claims: Any) -> Principal:
    return Principal("jwt:idp#ada", "jwt", claims={"sub": "ada", **claims})


def key(**facts: Any) -> Principal:
    return Principal("key:k1", "key", name="ada", key={"id": "k1", "owner": "ada", **facts})


def call(principal: Principal = ANONYMOUS, **facts: Any) -> Call:
    return Call(
        "req_1", time.time(), 0, **{"path": "/mcp", "ip": "10.1.2.3", "principal": principal, **facts}
    )


def tool(name: str, arguments: Any = None, *, method: str = "tools/call", server: str = "fs") -> Operation:
    return Operation("mcp", method, subject="tool", name=name, exposed=f"fs_{name}", server=server, arguments=arguments)  # fmt: skip


def llm(model: str = "claude-sonnet-5", **facts: Any) -> Operation:
    return Operation("llm", "messages", model=model, **facts)


INITIALIZE, PING, LIST = (Operation("mcp", method) for method in ("initialize", "ping", "tools/list"))
PROMPT = Operation("mcp", "prompts/get", subject="prompt", name="greeting", server="fs")


def passes(
    rules: dict[str, Any], operation: Operation, principal: Principal = ANONYMOUS, **facts: Any
) -> bool:
    found = [Authorization(**rules).decide(call(principal, **facts), operation) is None]
    for engine in ("cel-python", "cel-cpp"):
        judged = Rules(**rules, engine=engine)  # type: ignore[arg-type]
        found.append(judged.denial(call(principal, **facts), operation) is None)
    assert len(set(found)) == 1, "the engines disagree"
    return found[0]


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"email": "ada@solo.io", "email_verified": True}, True),
        ({"email": "ada@solo.io", "email_verified": False}, False),
        ({"email": "ada@solo.io", "email_verified": "true"}, False),
        ({"email": "ada@solo.io"}, False),
        ({"email": "ada@evil.io", "email_verified": True}, False),
        ({"email": "ada@solo.io.evil.io", "email_verified": True}, False),
        ({"email": ["ada@solo.io"], "email_verified": True}, False),
        ({"email": None, "email_verified": True}, False),
        ({"email_verified": True}, False),
    ],
)
def test_the_third_seeds_rule_wants_a_verified_address_of_the_company(
    claims: dict[str, Any], allowed: bool
) -> None:
    assert passes({"allow": [EMAIL]}, llm(), jwt(**claims)) is allowed


def test_the_fifth_seeds_allow_list_shows_and_runs_only_its_tools() -> None:
    for name, allowed in (
        ("read_file", True),
        ("search", True),
        ("delete_file", False),
        ("write_file", False),
    ):
        assert passes({"allow": [TOOLS]}, tool(name), jwt()) is allowed
        assert passes({"allow": [TOOLS]}, tool(name, method="tools/list"), jwt()) is allowed


@pytest.mark.parametrize("operation", [INITIALIZE, PING, LIST])
def test_what_has_no_subject_passes_for_whoever_could_pass_for_some_tool(operation: Operation) -> None:
    assert passes({"allow": [TOOLS]}, operation)
    assert passes({"allow": ['mcp.tool.name == "read_file"', 'mcp.tool.name == "list_directory"']}, operation)
    assert passes({"allow": ROLES}, operation, jwt(role="user"))
    assert not passes({"allow": ROLES}, operation, jwt(role="guest"))
    assert not passes({"allow": ROLES}, operation, jwt())
    assert not passes({"allow": ROLES}, operation)


@pytest.mark.parametrize(
    ("role", "name", "allowed"),
    [
        ("admin", "delete_file", True), ("admin", "read_file", True), ("user", "read_file", True),
        ("user", "delete_file", False), ("guest", "read_file", False), (None, "read_file", False),
    ],
)  # fmt: skip
def test_the_fifth_seeds_roles(role: str | None, name: str, allowed: bool) -> None:
    principal = jwt(role=role) if role else jwt()
    assert passes({"allow": ROLES}, tool(name), principal) is allowed
    assert passes({"allow": ROLES}, tool(name, method="tools/list"), principal) is allowed


@pytest.mark.parametrize(
    ("ip", "allowed"),
    [
        ("10.0.0.1", True), ("10.255.255.255", True), ("192.168.1.77", True), ("192.168.2.1", False), ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True), ("2001:db8::1", False), ("", False), ("10.0.0.0/8", False), ("10.0.0.1.evil", False),
    ],
)  # fmt: skip
def test_the_fifth_seeds_networks_hold_addresses(ip: str, allowed: bool) -> None:
    for rules in ({"require": [NETWORKS]}, {"allow": [NETWORKS]}, {"allow": ['cidr("10.0.0.0/8").containsIP(request.ip) || cidr("192.168.1.0/24").containsIP(request.ip)']}):  # fmt: skip
        assert passes(rules, llm(), ip=ip) is allowed
    assert passes({"allow": ['!(source.address in ["10.0.0.0/8", "192.168.1.0/24"])']}, llm(), ip="8.8.8.8")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ({"path": "/workspace/a"}, True), ({"path": "/etc/passwd"}, False), ({"path": 7}, False), ({}, False),
        (None, False), ([], False), ({"Path": "/workspace/a"}, False),
    ],
)  # fmt: skip
def test_a_rule_on_arguments_judges_a_call_and_lets_the_list_show_the_tool(
    arguments: Any, allowed: bool
) -> None:
    rule = 'mcp.tool.arguments.path.startsWith("/workspace/")'
    assert passes({"allow": [rule]}, tool("read_file", arguments)) is allowed
    assert passes({"require": [rule]}, tool("read_file", arguments)) is allowed
    assert passes({"allow": [rule]}, tool("read_file", method="tools/list"))
    assert not passes(
        {"allow": [f'mcp.tool.name == "other" && {rule}']}, tool("read_file", method="tools/list")
    )


def test_a_deny_on_arguments_stops_the_call_and_not_the_list() -> None:
    deny = {"deny": ['mcp.tool.name == "write_file" && mcp.tool.arguments.path.startsWith("/etc")']}
    assert not passes(deny, tool("write_file", {"path": "/etc/x"}))
    assert passes(deny, tool("write_file", {"path": "/tmp/x"}))
    assert not passes(deny, tool("write_file", {}))  # it cannot be told, so it is refused
    assert passes(deny, tool("read_file", {}))
    assert passes(deny, tool("write_file", method="tools/list"))


def test_the_design_pages_deny() -> None:
    deny = {"deny": ['mcp.tool.name == "delete_file" && jwt.role != "admin"']}
    assert passes(deny, tool("delete_file"), jwt(role="admin"))
    assert not passes(deny, tool("delete_file"), jwt(role="user"))
    # A claim that is missing is an error, and an error refuses.
    assert not passes(deny, tool("delete_file"), jwt())
    assert passes(deny, tool("read_file"), jwt())
    assert passes(deny, tool("delete_file"), key())  # no JWT at all: a deny that reads it is not true
    for operation in (INITIALIZE, LIST, llm(), PROMPT):
        assert passes(deny, operation, jwt(role="user"))
        assert passes(deny, operation, jwt())


def test_a_rule_about_one_kind_of_traffic_says_nothing_of_the_other() -> None:
    about_tools, about_models = 'mcp.tool.name == "x"', 'llm.model == "x"'
    for rule, other in ((about_tools, llm()), (about_models, tool("read_file")), (about_tools, PROMPT)):
        assert passes({"deny": [rule]}, other)
        assert passes({"require": [rule]}, other)
        assert not passes({"allow": [rule]}, other)
        assert passes({"allow": [rule, 'principal.kind == "key"']}, other, key())


def test_a_rule_that_holds_whatever_the_subject_holds_for_other_traffic_too() -> None:
    rule = 'jwt.role == "admin" || mcp.tool.name == "read_file"'
    assert passes({"allow": [rule]}, llm(), jwt(role="admin"))
    assert not passes({"allow": [rule]}, llm(), jwt(role="user"))
    assert not passes({"deny": [rule]}, llm(), jwt(role="admin"))


def test_every_require_must_hold_and_one_allow_is_enough() -> None:
    assert passes({"require": ["true", "1 == 1"], "allow": ["false", "true"]}, llm())
    assert not passes({"require": ["true", "false"], "allow": ["true"]}, llm())
    assert not passes({"allow": ["false", "false"]}, llm())
    assert not passes({"deny": ["true"], "allow": ["true"]}, llm())
    assert passes({}, llm())


@pytest.mark.parametrize("rule", ['jwt.role == "admin"', 'jwt.role != "guest"', "jwt.email_verified", 'key.owner == "x"'])  # fmt: skip
def test_a_credential_that_is_not_there_allows_nothing_and_denies_nothing(rule: str) -> None:
    assert not passes({"allow": [rule]}, llm())
    assert not passes({"require": [rule]}, llm())
    assert passes({"deny": [rule]}, llm())
    assert passes({"allow": [f'{rule} || principal.kind == "anonymous"']}, llm())


@pytest.mark.parametrize("rule", ["jwt.level > 3", '"x"', "jwt.sub", "1", "jwt.missing", "jwt.sub.deep.er", "[1][5] == 1", "1 / 0 == 1", 'timestamp("x") < now'])  # fmt: skip
def test_row_40_an_error_never_lets_anything_through(rule: str) -> None:
    principal = jwt(level="high")
    assert not passes({"allow": [rule]}, llm(), principal)
    assert not passes({"require": [rule]}, llm(), principal)
    assert not passes({"deny": [rule]}, llm(), principal)


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ('llm.model.startsWith("claude")', {}),
        ('llm.requestModel == llmRequest.model', {}),
        ('request.headers["x-solo-org"] == "engineering"', {"headers": {"x-solo-org": "engineering"}}),
        ('request.headers["X-Solo-Org"] == "engineering"', {"headers": {"x-solo-org": "engineering"}}),
        ('request.headers.host == "h" && request.host == "h"', {"headers": {"host": "h"}}),
        ('agent == "claude-code" && user == "ada"', {"attribution": Attribution(agent="claude-code", user="ada")}),
        ('session.id == "s1"', {"attribution": Attribution(session="s1")}),
        ("now.getFullYear() >= 2026 && time == now", {}),
        ('request.path == "/mcp" && request.method == "GET"', {}),
        ('default(json(request.body).params.arguments.product, "none") == "none"', {}),
        ('json(request.body).a.b == 1', {"body": b'{"a": {"b": 1}}'}),
        ('coalesce(jwt.team, "nobody") == "nobody"', {}),
        ('has(jwt.team) == false && !has(mcp.tool)', {}),
        ('"dev" in principal.groups', {"principal": Principal("key:a", "key", groups=("dev",))}),
        ('principal.scopes.exists(s, s == "read")', {"principal": Principal("key:a", "key", scopes=frozenset({"read"}))}),
        ('apiKey.owner == "ada" && key.id == "k1"', {"principal": key()}),
        ('"/mcp/x".stripPrefix("/mcp") == "/x"', {}),
        ('"a-1".regexReplace("([a-z])-([0-9])", "${2}$1") == "1a"', {}),
    ],
)  # fmt: skip
def test_rules_read_models_headers_agents_sessions_time_and_bodies(rule: str, facts: dict[str, Any]) -> None:
    assert passes({"allow": [rule]}, llm(), **facts)


def test_the_third_seeds_expression_for_the_model_word_for_word() -> None:
    from gateway.policy import cel

    text = """
          request.path.endsWith(":streamRawPredict") || request.path.endsWith(":rawPredict") ?
          request.path.regexReplace("^.*/publishers/anthropic/models/(.+?):.*", "$${1}") :
          llmRequest.model
    """.replace("$$", "$")  # which is how the file says a dollar
    vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-7:streamRawPredict"
    for engine in ("cel-python", "cel-cpp"):
        expression = cel.compile(text, engine=engine)  # type: ignore[arg-type]
        assert expression.evaluate(Values(call(path=vertex), llm("x"))) == "claude-opus-4-7"
        assert expression.evaluate(Values(call(path="/v1/messages", body=b'{"model": "m"}'), llm("m"))) == "m"


def test_a_key_made_for_some_models_is_for_no_others() -> None:
    principal = key(models=["claude-*", "gemini-3.8-flash"])
    policy = Authorization()
    for model, allowed in (("claude-opus-5", True), ("gemini-3.8-flash", True), ("gpt-6", False)):
        assert (policy.decide(call(principal), llm(model)) is None) is allowed
    assert policy.decide(call(principal), Operation("llm", "models")) is None
    assert policy.decide(call(principal), tool("read_file")) is None


def test_missing_scopes_are_all_named_at_once_and_the_tool_stays_in_the_list() -> None:
    policy = Authorization(scopes={"*": ["mcp"], "delete_file": ["files:write", "files:admin"]})
    principal = Principal("jwt:a", "jwt", scopes=frozenset({"mcp"}), claims={})
    assert policy.decide(call(principal), tool("read_file")) is None
    refusal = policy.decide(call(principal), tool("delete_file"))
    assert refusal is not None
    assert (refusal.status, refusal.policy) == (403, "scope")
    assert dict(refusal.headers)["www-authenticate"] == 'Bearer error="insufficient_scope", scope="mcp files:write files:admin"'  # fmt: skip
    assert policy.decide(call(principal), tool("delete_file", method="tools/list")) is None


def test_a_refusal_says_which_policy_and_keeps_the_rule_for_the_operator() -> None:
    policy = Authorization(deny=['llm.model == "secret-model"'])
    one = call(key())
    refusal = policy.decide(one, llm("secret-model"))
    assert refusal is not None
    assert refusal.message.startswith("policy authz refuses the model secret-model: a rule denies it")
    assert "llm.model" not in refusal.message
    assert [(v.policy, v.action, v.rule) for v in one.verdicts] == [("authz", "refuse", 'deny: llm.model == "secret-model"')]  # fmt: skip


def test_observing_lets_pass_and_notes_what_would_have_been_refused() -> None:
    policy = Authorization(allow=["false"], enforce=False)
    one = call()
    assert policy.decide(one, llm()) is None
    assert [(v.action, v.rule) for v in one.verdicts] == [("would_refuse", "allow: none of the rules")]


def test_what_a_list_leaves_out_is_not_noted() -> None:
    one = call()
    assert Authorization(allow=[TOOLS]).decide(one, tool("delete_file", method="tools/list")) is not None
    assert one.verdicts == []


def test_row_29_a_tool_that_is_not_shown_cannot_be_called() -> None:
    """The same decision for the list and for the call, for every principal."""
    policy = Authorization(allow=ROLES, deny=['mcp.tool.server == "pg" && !("dba" in jwt.groups)'])
    for principal in (jwt(role="admin", groups=[]), jwt(role="admin", groups=["dba"]), jwt(role="user", groups=[]), jwt(), ANONYMOUS):  # fmt: skip
        for name in ("read_file", "delete_file"):
            for server in ("fs", "pg"):
                shown = (
                    policy.decide(call(principal), tool(name, {}, method="tools/list", server=server)) is None
                )
                may = policy.decide(call(principal), tool(name, {}, server=server)) is None
                assert shown is may


def test_row_30_a_session_of_another_principal_changes_nothing_of_who_one_is() -> None:
    stolen = Attribution(session="session-of-ada")
    rule = {"allow": ['jwt.sub == "ada" && session.id != ""']}
    bob = Principal("jwt:idp#bob", "jwt", claims={"sub": "bob"})
    assert not passes(
        rule, tool("read_file"), bob, attribution=stolen, headers={"mcp-session-id": "session-of-ada"}
    )
    assert passes(rule, tool("read_file"), jwt(), attribution=stolen)
