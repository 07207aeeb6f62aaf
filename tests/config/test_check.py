"""`gateway check`, as it is typed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import orjson
import pytest
import yaml

from gateway.cli import main
from gateway.config.load import Broken, loads
from gateway.config.review import advice
from gateway.config.shape import json_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/gateway.yaml"))
SERVED = 'routes:\n  - path: /\n    llm: {providers: {demo: {dialect: anthropic, base_url: "http://127.0.0.1:1"}}}\n'
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(text: str, *words: str) -> tuple[int, str, str]:
        file = tmp_path / "gateway.yaml"
        file.write_text(text)
        code = main(["check", str(file), *words])
        shown = capsys.readouterr()
        return code, shown.out.replace(str(tmp_path), ""), shown.err.replace(str(tmp_path), "")

    return run


def test_a_good_file_is_ok(check: Check) -> None:
    assert check(SERVED) == (0, "/gateway.yaml: ok\n", "")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_examples_are_good(file: Path, tmp_path: Path) -> None:
    for each in file.parent.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    names = re.findall(r"(?<!\$)\$\{(\w+)\}", file.read_text())
    env = {**os.environ, **dict.fromkeys(names, "set")}
    gateway = [sys.executable, "-m", "gateway"]
    subprocess.run(
        [*gateway, "token", "--sub", "ada"], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    said = subprocess.run(
        [*gateway, "check", "gateway.yaml"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr + said.stdout
    assert "warning" not in said.stdout


def test_mistakes_are_told_without_another_gateways_section(check: Check) -> None:
    code, out, err = check("policies: {auth: {jwt: [{isuer: x}]}}\n" + SERVED)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "/gateway.yaml:1: policies.auth.jwt[0]: issuer is missing: the `iss` that its tokens carry",
        "/gateway.yaml:1: policies.auth.jwt[0]: isuer is not a key here; did you mean issuer?",
    ]


def test_every_route_that_cannot_be_built_is_told(check: Check) -> None:
    jwks = "auth: {jwt: [{issuer: x, jwks: {file: nothing.pem}}]}"
    both = SERVED.replace("path: /", f"path: /a\n    policies: {{{jwks}}}")
    both += both.partition("\n")[2].replace("/a", "/b")
    code, _, err = check(both)
    assert code == 1
    assert [line.split(": auth")[0].split(": jwks")[0] for line in err.splitlines()] == [
        "/gateway.yaml:2: route /a",
        "/gateway.yaml:5: route /b",
    ]
    assert "nothing.pem: No such file or directory" in err


def test_every_provider_and_server_that_cannot_be_made_is_told(check: Check) -> None:
    broken = "{bearer: a, headers: {x: y}}"
    code, _, err = check(
        "routes:\n  - {path: /, llm: {providers: {antropic: {}, openai: {}, ollama: {}}}}\n"
        f"  - {{path: /mcp, mcp: {{servers: {{a: {{url: 'http://127.0.0.1:1', auth: {broken}}}, b: {{url: 'http://127.0.0.1:1', auth: {broken}}}}}}}}}\n"
    )
    assert code == 1
    lines = [line.split(": ") for line in err.splitlines()]
    assert [line[:3] for line in lines[:2]] == [
        ["/gateway.yaml:2", "route /", "provider antropic"],
        ["/gateway.yaml:2", "route /", "provider openai"],
    ]
    assert [line[:2] for line in lines[2:]] == [["/gateway.yaml:3", "route /mcp"]] * 2


def test_a_route_that_stands_where_another_does_is_told(check: Check) -> None:
    route = "  - {path: %s, llm: {providers: {ollama: {}}}}\n"
    paths = ("/a", "/a/", "{exact: /a}", "/a, port: 3001", "/b", "/b")
    code, _, err = check("routes:\n" + "".join(route % path for path in paths))
    assert (code, err.splitlines()) == (
        1,
        [
            "/gateway.yaml:3: route /a/: an earlier route stands there",
            "/gateway.yaml:7: route /b: an earlier route stands there",
        ],
    )


def test_the_files_own_tests_decide(check: Check) -> None:
    text = (
        SERVED
        + """
policies: {authz: {allow: ['jwt.role == "admin"']}}
tests:
  - {name: admins may, as: {role: admin}, call: {model: m}, expect: allow}
  - {name: users may, as: {role: user}, call: {model: m}, expect: allow}
"""
    )
    code, out, _ = check(text)
    assert code == 1
    assert "pass  admins may\nFAIL  users may: expected allow, got refuse" in out
    code, out, _ = check(text.replace("name: users may", "name: users").replace("user}, call: {model: m}, expect: allow",
                                                                               "user}, call: {model: m}, expect: refuse"))  # fmt: skip
    assert (code, out.splitlines()[-1]) == (0, "/gateway.yaml: ok, 2 tests pass")


def test_the_report_is_json_too(check: Check) -> None:
    code, out, _ = check(SERVED.replace("routes", "rotes"), "--json")
    report = orjson.loads(out)
    assert code == 1
    assert report["good"] is False
    assert "did you mean routes?" in report["problems"][0]


def test_live_says_what_does_not_answer(check: Check) -> None:
    code, out, _ = check(SERVED, "--live")
    assert code == 1
    assert "ok    store memory:: answers" in out
    assert "FAIL  provider demo: " in out


PATTERN = "{regex: '(?i)ignore all previous instructions', action: REJECT}"


@pytest.mark.parametrize(
    ("rules", "warned"),
    [
        (PATTERN, True),
        (f"{PATTERN}, {{scanner: prompt_injection, action: audit}}", False),
        (f"prompt_injection, {PATTERN}", False),
        ("{regex: falcon, action: reject}", False),
    ],
)
def test_a_pattern_is_no_substitute_for_the_scanner(rules: str, warned: bool) -> None:
    text = f"policies: {{guard: {{request: [{rules}]}}}}\n{SERVED}"
    said = advice(loads(text, source="gateway.yaml", folder=Path("."), env={}))
    assert [line.split(":")[:2] for line in said] == ([["gateway.yaml", "1"]] if warned else [])


class Yaml12(yaml.SafeLoader):
    """As editors read: `on` and `off` are words."""


Yaml12.yaml_implicit_resolvers = {
    first: [(tag, word) for tag, word in rules if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_an_editor_accepts_the_examples(file: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.load(file.read_text(), Yaml12), schema)


@pytest.mark.parametrize(
    "text",
    [
        "stor: 'memory:'\nroutes: []",
        "store: mongo\nroutes: []",
        "routes: [{path: mcp, mcp: {servers: {}}}]",
        "routes: []\nlisten: {port: 99999}",
        "routes: []\npublic_url: ftp://x",
        "routes: []\npolicies: {guard: {request: [{scnner: pii}]}}",
        "routes: []\npolicies: {guard: {request: [promt_injection]}}",
        "routes: []\npolicies: {auth: {mode: strikt}}",
        "routes: [{path: /, mcp: {servers: {a: {command: [x], timeout: soon}}}}]",
    ],
)
def test_an_editor_and_the_reader_refuse_the_same(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.load(text, Yaml12), json_schema())
    with pytest.raises(Broken):
        loads(text, source="gateway.yaml", folder=Path("."), env={})


def test_the_schema_names_every_key_that_a_file_may_have() -> None:
    policies = json_schema()["properties"]["policies"]["properties"]
    assert set(policies) == {"auth", "authz", "ratelimit", "guard", "usage"}
    assert {"request", "response", "discovery", "invocation", "result", "budget", "key"} <= set(
        policies["guard"]["properties"]
    )


@pytest.mark.parametrize(
    ("store", "key", "warned"),
    [("dynamodb://T", "", True), ("dynamodb://T", ", seal_key: " + "k" * 32, False), ("memory:", "", False)],
)
def test_a_shared_store_wants_a_shared_seal_key(store: str, key: str, warned: bool) -> None:
    text = f'store: "{store}"\nroutes:\n  - path: /mcp\n    mcp: {{servers: {{s: {{url: "http://127.0.0.1:1/mcp"}}}}{key}}}\n'
    said = advice(loads(text, source="gateway.yaml", folder=Path("."), env={}))
    assert any("gateway.yaml:4: without a seal_key" in each for each in said) is warned
