from pathlib import Path

import pytest

from gateway.config import load, shape
from gateway.config.load import Broken

GOOD = """
store: "memory:"
routes:
  - path: /
    llm: {providers: {anthropic: {api_key: "${KEY}"}}}
"""


def read(text: str, *, folder: Path = Path("."), **env: str) -> dict:
    return load.loads(text, source="gateway.yaml", folder=folder, env=env).data


def problems(text: str, **env: str) -> list[str]:
    with pytest.raises(Broken) as caught:
        read(text, **env)
    return str(caught.value).splitlines()


def test_a_reference_to_the_environment_is_resolved() -> None:
    assert read(GOOD, KEY="sk-1")["routes"][0]["llm"]["providers"]["anthropic"] == {"api_key": "sk-1"}


def test_a_missing_variable_is_named_with_its_line() -> None:
    assert problems(GOOD) == [
        "gateway.yaml:5: routes[0].llm.providers.anthropic.api_key: the environment variable KEY is not set"
    ]


def test_a_variable_may_have_a_default_and_two_dollars_are_one() -> None:
    text = GOOD.replace("${KEY}", "${KEY:-none}$$5")
    assert read(text)["routes"][0]["llm"]["providers"]["anthropic"]["api_key"] == "none$5"


def test_a_secret_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("sk-file\n")
    data = read(GOOD.replace("${KEY}", "file:key.txt"), folder=tmp_path)
    assert data["routes"][0]["llm"]["providers"]["anthropic"]["api_key"] == "sk-file"


def test_every_problem_is_shown_at_once_with_its_line_and_a_suggestion() -> None:
    text = """
stor: "memory:"
listen: {port: 99999, host: [1]}
routes:
  - path: mcp
    mcp:
      pins: aprove
      servers:
        fs: {command: npx, timeout: soon}
"""
    assert problems(text) == [
        "gateway.yaml:2: stor is not a key here; did you mean store?",
        "gateway.yaml:3: listen.host: must be a string",
        "gateway.yaml:3: listen.port: must be between 0 and 65535",
        "gateway.yaml:5: routes[0].path: must begin with /",
        "gateway.yaml:7: routes[0].mcp.pins: must be one of off, trust-first, approve; did you mean approve?",
        "gateway.yaml:9: routes[0].mcp.servers.fs.command: must be a list",
        "gateway.yaml:9: routes[0].mcp.servers.fs.timeout: must be a duration such as 250ms, 60s, 5m, 2h or 90d,"
        " not 'soon'",
    ]


def test_keys_that_are_right_alone_and_wrong_together_are_said_with_all_else() -> None:
    text = """
listen: {port: []}
policies:
  ratelimit:
    limits: [{tokens: 5}, {requests: 5, tokens: 4}, {per: 60s}, {requests: 0}, {requests: -1}]
    budgets: [{usd: 0, per: day}]
routes:
  - path: /mcp
    mcp: {servers: {a: {url: "http://127.0.0.1:1", command: [x]}, b: {prefix: b}}}
"""
    one = "a limit has exactly one of requests, tokens and concurrency"
    assert problems(text) == [
        "gateway.yaml:2: listen.port: must not be empty",
        f"gateway.yaml:5: policies.ratelimit.limits[1]: {one}",
        f"gateway.yaml:5: policies.ratelimit.limits[2]: {one}",
        "gateway.yaml:5: policies.ratelimit.limits[3]: the limit '0 requests per 60s' must be above zero",
        "gateway.yaml:5: policies.ratelimit.limits[4].requests: must be at least 0",
        "gateway.yaml:6: policies.ratelimit.budgets[0]: the budget '$0 per day' needs dollars above zero, per day, week or month",
        "gateway.yaml:9: routes[0].mcp.servers.a: needs a url, a command, or openapi with or without a url",
        "gateway.yaml:9: routes[0].mcp.servers.b: needs a url, a command, or openapi with or without a url",
    ]


@pytest.mark.parametrize(
    ("limits", "wrong"),
    [
        ("limits: [{requests: 5}, {requests: 5}]", "two limits are called '5 requests per 60s'"),
        (
            "limits: [{requests: 5, name: a}], budgets: [{usd: 5, per: day, name: a}]",
            "two limits are called 'a'",
        ),
        (
            "limits: [{requests: 5, name: pk}]",
            "a limit cannot be called 'pk': the store has that name for itself",
        ),
    ],
)
def test_limits_that_cannot_be_told_apart_are_said_with_their_line(limits: str, wrong: str) -> None:
    text = f"routes:\n  - path: /\n    policies: {{ratelimit: {{{limits}}}}}\n    llm: {{providers: {{ollama: {{}}}}}}\n"
    assert problems(text) == [f"gateway.yaml:3: routes[0].policies.ratelimit: {wrong}"]


@pytest.mark.parametrize("path", ["//a", "/a//b", "/a/../b", "/a/."])
def test_a_path_that_no_request_has_is_refused(path: str) -> None:
    assert problems(f"routes: [{{path: '{path}', llm: {{providers: {{ollama: {{}}}}}}}}]") == [
        "gateway.yaml:1: routes[0].path: no request has such a path"
    ]


@pytest.mark.parametrize(
    "text", ["routes:\n\t- path: /\n", "routes:\n  \t- path: /\n", "listen:\n  port: 1\n\thost: x\n"]
)
def test_a_tab_that_indents_is_named(text: str) -> None:
    (problem,) = problems(text)
    assert problem.endswith("not YAML: a tab cannot indent; use spaces")
    assert problem.startswith(f"gateway.yaml:{text[: text.index(chr(9))].count(chr(10)) + 1}:")


def test_a_key_that_is_no_word_is_said_with_its_line() -> None:
    assert problems("routes: []\n? [a, b]\n: 1\n") == [
        "gateway.yaml:2: not YAML: a key must be a word, no list and no mapping"
    ]


def test_what_is_not_yaml_is_said_with_its_line() -> None:
    assert problems("routes: [}")[0].startswith("gateway.yaml:1: not YAML:")


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert "the file is empty" in problems(text)[0]


def test_a_key_that_stands_twice_is_refused() -> None:
    assert "store stands twice" in problems('store: "memory:"\nstore: "memory:"\nroutes: []\n')[0]


def test_pins_off_is_a_word_and_not_a_falsehood() -> None:
    text = "routes: [{path: /mcp, mcp: {pins: off, servers: {a: {url: 'http://127.0.0.1:1'}}}}]"
    assert read(text)["routes"][0]["mcp"]["pins"] == "off"


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("60s", 60), ("5m", 300), ("2h", 7200), ("90d", 7776000), ("3", 3)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    data = read(f"routes: [{{path: /, timeout: {{request: {text}}}}}]")
    assert data["routes"][0]["timeout"]["request"] == seconds


def test_the_json_schema_accepts_what_the_reader_accepts_and_refuses_what_it_refuses() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(shape.json_schema())
    validator = Draft202012Validator(shape.json_schema())
    assert validator.is_valid({"store": "memory:", "routes": [{"path": "/", "llm": {"providers": {}}}]})
    assert not validator.is_valid({"stor": "memory:", "routes": []})
    assert not validator.is_valid({"routes": [{"path": "/", "timeout": {"request": "soon"}}]})


def test_the_words_of_every_policy_are_checked_at_once_where_they_stand() -> None:
    text = """
routes:
  - path: /
    llm: {providers: {demo: {base_url: "http://127.0.0.1:1"}}, models: [{match: "*", when: "llm.modl == 1", to: demo}]}
    policies:
      authz:
        allow: ['jwt.email ==']
        deny: 'mcp.tool.nam == "x"'
      ratelimit:
        limits: [{requests: 1, per: 1s, key: "foo("}]
        budgets: [{usd: 1, per: year, when: "a b"}]
      guard:
        request:
          - {regex: "(?=x)", action: rejct}
          - {scanner: promt_injection}
          - {scnner: pii}
          - sql_injektion
      usage: {labels: {team: "b("}}
"""
    found = problems(text)
    assert [line.split(":")[1] for line in found] == [
        "4", "7", "8", "10", "11", "11", "14", "14", "15", "16", "17", "18",
    ]  # fmt: skip
    told = "\n".join(found)
    for hint in ("did you mean model?", "did you mean name?", "did you mean reject?", "did you mean prompt_injection?",
                 "did you mean scanner?", "did you mean sql_injection?", "is no RE2 pattern", "not a CEL expression"):  # fmt: skip
        assert hint in told


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "a: \x00", "routes: 2026-99-99", "a: &x [*x]"]
)
def test_hostile_text_is_a_problem_and_no_crash(text: str) -> None:
    assert problems(text)
