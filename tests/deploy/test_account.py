"""What an account lacks is said before anything is made in it, in words that name it; and nothing is changed by asking."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import account as checking
from gateway.cli import main
from tests.deploy.aws import NUMBER, OTHERS, TABLE, Aws, account

ROOT = Path(__file__).parents[2]
ROLE = f"arn:aws:iam::{NUMBER}:role/gateway"
FILE = """
store: "dynamodb://gateway?region=eu-west-1"
policies: {auth: {keys: true}}
routes: [{path: /, llm: {providers: {anthropic: {api_key: "ssm:/gateway/key"}}}}]
"""
KEYS = {"/gateway/key": "sk-1"}
OWN = {"/gateway/anthropic-api-key": "sk-1", "/gateway/seal-key": "s" * 40}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with account(Aws()) as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


def checked(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> tuple[int, Any]:
    (tmp_path / "gateway.yaml").write_text(FILE)
    code = main(["check", str(tmp_path / "gateway.yaml"), "--account", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def refused(report: Any) -> list[str]:
    return [
        *report["problems"],
        *(f"{each['what']}: {each['said']}" for each in report["live"] if not each["good"]),
    ]


ROWS: list[tuple[dict[str, Any], list[str], str]] = [
    ({}, [], "gateway.yaml:4: routes[0].llm.providers.anthropic.api_key: ssm:/gateway/key cannot be read: there is no such parameter in eu-west-1"),
    ({"parameters": KEYS, "denied": {"ssm:GetParameter"}}, [], "ssm:/gateway/key cannot be read: this role may not read it: allow ssm:GetParameter on it"),
    ({"parameters": KEYS}, [], "table gateway: there is no table gateway: gateway store init makes it"),
    ({"parameters": KEYS, "tables": {"gateway": OTHERS}}, [], "table gateway: its key is not pk (hash) and sk (range): it is another program's table"),
    ({"parameters": KEYS, "tables": {"gateway": TABLE}, "expires": False}, [], "table gateway: items do not expire"),
    ({"parameters": KEYS, "tables": {"gateway": TABLE}, "denied": {"dynamodb:DescribeTable"}}, [], "table gateway: these credentials may not dynamodb:DescribeTable: allow it"),
    ({"parameters": KEYS, "tables": {"gateway": TABLE}, "denied": {"dynamodb:UpdateItem", "dynamodb:Scan"}}, [],
     "rights on gateway: these credentials may not dynamodb:UpdateItem, dynamodb:Scan: infra/dynamodb/policy.json allows it"),
    ({"parameters": KEYS, "tables": {"gateway": TABLE}, "roles": {ROLE}, "denied": {"dynamodb:UpdateItem"}}, ["--role", ROLE],
     f"rights on gateway: {ROLE} may not dynamodb:UpdateItem on arn:aws:dynamodb:eu-west-1:{NUMBER}:table/gateway"),
    ({"parameters": KEYS, "tables": {"gateway": TABLE}}, ["--role", ROLE], f"{ROLE} cannot be found"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "words", "says"), ROWS, ids=[row[2][:60] for row in ROWS])
def test_each_thing_that_is_missing_is_named(
    aws: Aws,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    state: dict[str, Any],
    words: list[str],
    says: str,
) -> None:
    for name, value in state.items():
        setattr(aws, name, value)
    code, report = checked(capsys, tmp_path, *words)
    assert code == 1
    assert any(says in each for each in refused(report)), report
    assert aws.wrote == []


def test_an_account_that_is_ready_passes_and_is_left_as_it_was(
    aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.parameters, aws.tables, aws.roles = KEYS, {"gateway": TABLE}, {ROLE}
    for words in ([], ["--role", ROLE]):
        code, report = checked(capsys, tmp_path, *words)
        assert (code, refused(report)) == (0, [])
    assert aws.wrote == []


def test_who_may_not_ask_about_a_role_is_told_so_and_not_stopped(
    aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.parameters, aws.tables, aws.denied = KEYS, {"gateway": TABLE}, {"iam:SimulatePrincipalPolicy"}
    code, report = checked(capsys, tmp_path, "--role", ROLE)
    assert code == 0
    assert "not known: these credentials may not iam:SimulatePrincipalPolicy" in json.dumps(report)


def test_the_rights_that_are_asked_for_are_those_that_the_policy_allows() -> None:
    [statement] = json.loads((ROOT / "infra/dynamodb/policy.json").read_text())["Statement"]
    assert set(checking.PROBES) == set(statement["Action"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("store: 'sqlite:///gateway.db'\n", "store: SQLite does not fit Lambda"),
        ("telemetry: {audit: {file: audit.jsonl}}\n", "telemetry.audit.file: no file is kept on Lambda"),
    ],
)
def test_what_does_not_fit_lambda_is_said_by_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text + "routes: [{path: /mcp, mcp: {servers: {files: {command: [npx, server]}}}}]\n")
    assert main(["check", str(file), "--on", "lambda"]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert "mcp.servers.files: a command cannot run on Lambda" in told
    assert main(["check", str(file)]) == 0  # elsewhere it does


def preflight(aws: Aws, *words: str) -> tuple[int, Any]:
    done = subprocess.run([sys.executable, "-m", "scripts.lambda_preflight", "--json", *words], cwd=ROOT,
                          env={"PATH": os.environ["PATH"], **aws.env}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_stack_is_looked_over_before_it_is_deployed(aws: Aws) -> None:
    code, report = preflight(aws)
    told = "\n".join(refused(report))
    assert code == 1
    for name in OWN:
        assert f"ssm:{name} cannot be read: there is no such parameter in eu-west-1" in told

    aws.parameters, aws.denied = OWN, {"iam:CreateRole", "lambda:CreateFunction"}
    code, report = preflight(aws)
    assert (code, refused(report)) == (
        1, [f"rights to deploy: {aws.arn} may not lambda:CreateFunction, iam:CreateRole on *"])  # fmt: skip

    aws.denied = set()
    assert preflight(aws)[0] == 0  # the table is the stack's own: nobody looks for it


def test_a_table_that_is_to_be_there_is_looked_for(aws: Aws) -> None:
    aws.parameters = OWN
    code, report = preflight(aws, "ExistingTable=older")
    assert (code, refused(report)) == (
        1,
        ["table older: there is no table older: gateway store init makes it"],
    )
    aws.tables = {"older": TABLE}
    assert preflight(aws, "ExistingTable=older")[0] == 0


def test_a_secret_that_the_functions_may_not_read_is_named(aws: Aws) -> None:
    aws.parameters = {**OWN, "/elsewhere/key": "sk-1"}
    code, report = preflight(aws, "AnthropicApiKey=ssm:/elsewhere/key")
    assert code == 1
    assert refused(report) == ["ssm:/elsewhere/key: the functions may read only what is under gateway/: SecretPrefix says what"]  # fmt: skip


def test_a_configuration_in_ssm_is_read_where_the_functions_read_it(aws: Aws) -> None:
    text = 'store: "sqlite:///gateway.db"\nroutes: [{path: /, llm: {providers: {bedrock: {region: eu-west-1}}}}]\n'
    aws.parameters = {**OWN, "/gateway/file": text}
    code, report = preflight(aws, "GatewayConfig=ssm:/gateway/file")
    told = "\n".join(refused(report))
    assert code == 1
    assert "store: SQLite does not fit Lambda" in told
    assert "a provider is Bedrock, and the functions may not call it: Bedrock=yes" in told
    assert preflight(aws, "GatewayConfig=ssm:/gateway/nowhere")[1]["problems"] == [
        "ssm:/gateway/nowhere cannot be read: there is no such parameter in eu-west-1"]  # fmt: skip
