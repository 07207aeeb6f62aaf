"""`sam deploy`, an update and `sam delete`, really run against MiniStack, which takes the place of AWS."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from gateway.stores.dynamodb import table
from scripts.lambda_demo import demo
from scripts.lambda_emulator import ROOT, TOOLS
from tests.real.lambda_package import built, sam

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
STACK = "gateway-tested"


@dataclass(frozen=True)
class Aws:
    url: str

    @property
    def env(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}  # fmt: skip

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="test",
                            aws_secret_access_key="test")  # fmt: skip

    def invoke(self, function: str, event: Any) -> Any:
        with contextlib.closing(self.client("lambda")) as client:
            reply = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
            with contextlib.closing(reply["Payload"]) as payload:
                return json.loads(payload.read())


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    program = TOOLS / "stack/bin/ministack"
    assert program.exists(), f"{program} is missing: scripts/install-tools gets it"
    folder = tmp_path_factory.mktemp("ministack")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    env = {"PATH": f"{TOOLS}/ric/bin:{os.environ['PATH']}", "HOME": str(folder), "TMPDIR": str(folder),
           "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "LAMBDA_EXECUTOR": "local"}  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program], env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield Aws(f"http://127.0.0.1:{port}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(20)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo(tmp_path_factory.mktemp("files")) as url:
        yield f"{url}/math"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("stack"), architecture="x86_64") / "template.yaml"


def preflight(aws: Aws, *parameters: str) -> tuple[int, str]:
    """What scripts/preflight says of the account."""
    done = subprocess.run([sys.executable, "-m", "scripts.lambda_preflight", *parameters], cwd=ROOT,
                          env={**os.environ, **aws.env}, capture_output=True, text=True, check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def deploy(aws: Aws, template: Path, **parameters: str) -> dict[str, str]:
    """The outputs."""
    given = [f"{name}={value}" for name, value in {"Architecture": "x86_64", **parameters}.items()]
    sam("deploy", "--template-file", template, "--stack-name", STACK, "--resolve-s3", "--capabilities", "CAPABILITY_IAM",
        "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides", *given, env=aws.env)  # fmt: skip
    with contextlib.closing(aws.client("cloudformation")) as client:
        [stack] = client.describe_stacks(StackName=STACK)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def function(aws: Aws, logical: str) -> str:
    with contextlib.closing(aws.client("cloudformation")) as client:
        found = client.describe_stack_resource(StackName=STACK, LogicalResourceId=logical)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def event(name: str, **headers: str) -> Any:
    found = json.loads((ROOT / "events" / f"{name}.json").read_text())
    found["headers"] |= headers
    if "multiValueHeaders" in found:
        found["multiValueHeaders"] |= {key: [value] for key, value in headers.items()}
    return found


def key(aws: Aws, store: str) -> str:
    program = Path(sys.executable).with_name("gateway")
    made = subprocess.run([program, "keys", "create", "--store", store, "--owner", "you@example.com", "--json"],
                          env={**os.environ, **aws.env}, capture_output=True, text=True, check=False)  # fmt: skip
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["key"])


def test_a_stack_is_deployed_serves_is_updated_and_is_deleted(aws: Aws, template: Path, tools: str) -> None:
    code, said = preflight(aws)
    assert code == 1
    assert "ssm:/gateway/seal-key cannot be read: there is no such parameter in us-east-1" in said
    with contextlib.closing(aws.client("ssm")) as parameters:
        for name, value in {"anthropic-api-key": "sk-ant-none", "seal-key": "seal" * 10}.items():
            parameters.put_parameter(Name=f"/gateway/{name}", Value=value, Type="SecureString")
    code, said = preflight(aws)
    assert code == 0, said
    outputs = deploy(aws, template, McpServerUrl=tools)
    assert set(outputs) == {"Store", "BufferedUrl", "StreamingUrl", "ClaudeCode"}
    buffered = function(aws, "Buffered")
    assert aws.invoke(buffered, event("http-api-unauthenticated"))["statusCode"] == 401

    ours = key(aws, outputs["Store"])
    answer = aws.invoke(
        buffered, event("rest-api-mcp", authorization=f"Bearer {ours}", **{"x-api-key": ours})
    )
    assert answer["statusCode"] == 200, answer
    assert "714" in answer["body"]
    with contextlib.closing(aws.client("dynamodb")) as dynamodb:
        [kept] = dynamodb.list_tables()["TableNames"]
        rows = dynamodb.scan(TableName=kept)["Items"]
        schema = dynamodb.describe_table(TableName=kept)["Table"]["KeySchema"]
    assert any("principal" in json.dumps(row) for row in rows)
    assert [each["AttributeName"] for each in schema] == ["pk", "sk"]

    deploy(aws, template, McpServerUrl=tools, Memory="1024")
    with contextlib.closing(aws.client("lambda")) as client:
        assert client.get_function_configuration(FunctionName=buffered)["MemorySize"] == 1024
    assert aws.invoke(buffered, event("http-api-unauthenticated"))["statusCode"] == 401

    sam("delete", "--stack-name", STACK, "--no-prompts", "--region", "us-east-1", env=aws.env)
    with contextlib.closing(aws.client("lambda")) as client:
        assert client.list_functions()["Functions"] == []
    with contextlib.closing(aws.client("dynamodb")) as dynamodb:
        assert dynamodb.list_tables()["TableNames"] == [kept]  # what people did is not deleted with the stack


def test_a_roles_rights_are_read_before_a_gateway_runs_as_it(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        'store: "dynamodb://elsewhere?region=us-east-1"\nroutes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\n'
    )
    whole = json.loads((ROOT / "infra/dynamodb/policy.json").read_text())
    whole["Statement"][0]["Resource"] = "arn:aws:dynamodb:*:*:table/elsewhere"
    half = {
        **whole,
        "Statement": [{**whole["Statement"][0], "Action": ["dynamodb:GetItem", "dynamodb:Query"]}],
    }
    assert "there is no table elsewhere" in checked(aws, file)[1]
    with contextlib.closing(aws.client("dynamodb")) as dynamodb:
        table.create(dynamodb, "elsewhere")
    assert checked(aws, file)[0] == 0
    with contextlib.closing(aws.client("iam")) as iam:
        role = iam.create_role(
            RoleName="gateway", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        )["Role"]["Arn"]
        iam.put_role_policy(RoleName="gateway", PolicyName="gateway", PolicyDocument=json.dumps(half))
        code, said = checked(aws, file, "--role", role)
        assert (code, f"{role} may not dynamodb:UpdateItem, dynamodb:DeleteItem" in said) == (1, True), said
        iam.put_role_policy(RoleName="gateway", PolicyName="gateway", PolicyDocument=json.dumps(whole))
        assert checked(aws, file, "--role", role)[0] == 0
    with contextlib.closing(aws.client("dynamodb")) as dynamodb:
        dynamodb.delete_table(TableName="elsewhere")  # another test counts tables


def checked(aws: Aws, file: Path, *words: str) -> tuple[int, str]:
    program = Path(sys.executable).with_name("gateway")
    done = subprocess.run([program, "check", file, "--account", *words], env={**os.environ, **aws.env},
                          capture_output=True, text=True, check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_stack_takes_up_a_table_that_is_there_and_names_a_missing_secret_when_it_starts(
    aws: Aws, template: Path, tools: str
) -> None:
    with contextlib.closing(aws.client("dynamodb")) as dynamodb:
        table.create(dynamodb, "older")
        before = dynamodb.list_tables()["TableNames"]
        nowhere = "ssm:/gateway/nowhere"
        outputs = deploy(aws, template, McpServerUrl=tools, AnthropicApiKey=nowhere, ExistingTable="older")
        assert outputs["Store"] == "dynamodb://older?region=us-east-1"
        assert set(dynamodb.list_tables()["TableNames"]) <= set(before)
        dynamodb.delete_table(TableName="older")  # another test counts tables
    answer = aws.invoke(function(aws, "Buffered"), event("http-api-unauthenticated"))
    assert "ssm:/gateway/nowhere cannot be read: there is no such parameter" in json.dumps(answer)
