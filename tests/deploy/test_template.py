"""What template.yaml becomes: the linters accept wrong values, so SAM's own translator is asked what it makes of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from gateway.stores.dynamodb.table import DEFINITION, TTL

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("Buffered", "StreamingByUrl", "StreamingByRest")
STREAMED = "arn:aws:apigateway:${AWS::Region}:lambda:path/2021-11-15/functions/${StreamingByRest.Arn}/response-streaming-invocations"


@pytest.fixture(scope="module")
def written() -> Any:
    return yaml_parse((ROOT / "template.yaml").read_text())


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    """The CloudFormation that AWS would see."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/built"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        origins = {"AllowedOrigins": "https://a.example,https://b.example"}
        yield transform(template, origins, NoManagedPolicies())["Resources"]


def of_type(resources: Any, kind: str) -> dict[str, Any]:
    return {name: each for name, each in resources.items() if each["Type"] == kind}


def permissions(resources: Any, function: str) -> list[Any]:
    found = of_type(resources, "AWS::Lambda::Permission").values()
    return [each["Properties"] for each in found if each["Properties"]["FunctionName"] == {"Ref": function}]


def test_the_function_url_streams_and_may_be_called_by_both_permissions(made: Any) -> None:
    url = made["StreamingByUrlUrl"]["Properties"]
    assert (url["InvokeMode"], url["AuthType"]) == ("RESPONSE_STREAM", "NONE")
    given = {each["Action"]: each for each in permissions(made, "StreamingByUrl")}
    assert set(given) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert given["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert given["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


@pytest.mark.parametrize("path", ["/", "/{proxy+}"])
def test_the_rest_api_streams_on_every_path(made: Any, path: str) -> None:
    method = made["RestApi"]["Properties"]["Body"]["paths"][path]["Fn::If"][1]
    integration = method["x-amazon-apigateway-any-method"]["Fn::If"][1]["x-amazon-apigateway-integration"]
    assert (integration["type"], integration["responseTransferMode"]) == ("aws_proxy", "STREAM")
    assert integration["timeoutInMillis"] == 900_000
    assert integration["uri"]["Fn::If"][1] == {"Fn::Sub": STREAMED}


def test_only_the_rest_api_may_invoke_its_function(made: Any) -> None:
    given = permissions(made, "StreamingByRest")
    assert len(given) == 2
    assert {(each["Action"], each["Principal"]) for each in given} == {
        ("lambda:InvokeFunction", "apigateway.amazonaws.com")
    }
    assert all("execute-api" in json.dumps(each["SourceArn"]) for each in given)


def test_the_http_api_sends_everything_to_the_buffered_function(made: Any) -> None:
    [path] = made["HttpApi"]["Properties"]["Body"]["paths"].items()
    integration = path[1]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
    assert path[0] == "$default"
    assert (integration["payloadFormatVersion"], integration["timeoutInMillis"]) == ("2.0", 29_000)
    assert integration["uri"]["Fn::Sub"].endswith("/functions/${Buffered.Arn}/invocations")
    [permission] = permissions(made, "Buffered")
    assert permission["Principal"] == "apigateway.amazonaws.com"


def test_browsers_of_named_origins_may_call_and_read_what_clients_need(made: Any) -> None:
    cors = made["HttpApi"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"][1]
    url = made["StreamingByUrlUrl"]["Properties"]["Cors"]["Fn::If"][1]
    named = {"Fn::Split": [",", "https://a.example,https://b.example"]}
    assert cors["allowOrigins"] == named
    assert url["AllowOrigins"] in (named, {"Fn::Split": [",", {"Ref": "AllowedOrigins"}]})
    assert set(cors["exposeHeaders"]) >= {"mcp-session-id", "retry-after"}


def test_streaming_and_buffered_are_two_functions_of_one_package(made: Any) -> None:
    functions = of_type(made, "AWS::Lambda::Function")
    assert sorted(functions) == sorted(FUNCTIONS)
    wrapped = {}
    for name, each in functions.items():
        properties = each["Properties"]
        assert properties["Handler"] == "gateway.aws.handler"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        wrapped[name] = properties["Environment"]["Variables"].get("AWS_LAMBDA_EXEC_WRAPPER")
    assert wrapped == {
        "Buffered": None,
        "StreamingByUrl": "/var/task/stream",
        "StreamingByRest": "/var/task/stream",
    }
    assert (ROOT / "infra/lambda/stream").stat().st_mode & 0o111


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_is_built_from_a_folder_of_its_own(
    written: Any, architecture: str, machine: str
) -> None:
    assert str(written["Globals"]["Function"]["CodeUri"]) in str({"Fn::Sub": "infra/lambda/${Architecture}"})
    assert written["Parameters"]["Architecture"]["Default"] == "arm64"
    assert all(written["Resources"][name]["Metadata"] == {"BuildMethod": "makefile"} for name in FUNCTIONS)
    folder = ROOT / "infra/lambda" / architecture
    assert f"MACHINE = {machine}" in (folder / "Makefile").read_text()
    shared = ("build.mk", "gateway", "gateway.yaml", "requirements.txt", "stream")
    assert all((folder / name).is_symlink() and (folder / name).exists() for name in shared)


def test_a_stream_may_last_as_long_as_lambda_lets_it(made: Any) -> None:
    lasting = {name: made[name]["Properties"]["Timeout"] for name in FUNCTIONS}
    assert lasting == {"Buffered": 30, "StreamingByUrl": 900, "StreamingByRest": 900}


def test_roles_hold_the_least(made: Any) -> None:
    plain = "arn:aws:iam::aws:policy/"
    for role in of_type(made, "AWS::IAM::Role").values():
        managed = role["Properties"]["ManagedPolicyArns"]
        assert {"Ref": "Access"} in managed
        others = {each.removeprefix(plain) for each in managed if isinstance(each, str)}
        assert others == {"service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}
        assert "Policies" not in role["Properties"]
    statements = made["Access"]["Properties"]["PolicyDocument"]["Statement"]
    for each in (*statements[:3], statements[3]["Fn::If"][1]):
        assert "*" not in json.dumps(each["Action"])
        for resource in each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]]:
            text = json.dumps(resource)
            assert "*" not in text or text.endswith(('${SecretPrefix}/*"}', 'foundation-model/*"}', 'inference-profile/*"}'))  # fmt: skip
    assert statements[3]["Fn::If"][0] == "MayUseBedrock"


def test_the_table_is_the_one_that_every_other_way_makes(made: Any) -> None:
    alone = yaml.safe_load((ROOT / "infra/dynamodb/table.yaml").read_text())
    assert made["Table"] == {**alone, "Condition": "OwnTable"}
    assert alone["DeletionPolicy"] == alone["UpdateReplacePolicy"] == "Retain"
    properties = alone["Properties"]
    assert {key: properties[key] for key in DEFINITION} == DEFINITION
    assert properties["TimeToLiveSpecification"] == TTL


def test_the_policy_for_other_places_allows_what_the_functions_may(made: Any) -> None:
    [alone] = json.loads((ROOT / "infra/dynamodb/policy.json").read_text())["Statement"]
    ours = made["Access"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert (alone["Sid"], alone["Effect"], alone["Action"]) == (ours["Sid"], ours["Effect"], ours["Action"])
    condition, own, existing = ours["Resource"]["Fn::If"]
    assert (condition, own) == ("OwnTable", {"Fn::GetAtt": ["Table", "Arn"]})
    assert existing["Fn::Sub"].endswith(":table/${ExistingTable}")


def test_logs_end_and_failures_are_heard(made: Any) -> None:
    logs = of_type(made, "AWS::Logs::LogGroup")
    assert {each["Properties"]["RetentionInDays"]["Ref"] for each in logs.values()} == {"LogRetention"}
    for function in FUNCTIONS:
        assert made[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in logs
    alarms = of_type(made, "AWS::CloudWatch::Alarm")
    assert {each["Properties"]["MetricName"] for each in alarms.values()} == {"Errors", "WriteThrottleEvents"}
    watched = json.dumps([each["Properties"]["Dimensions"] for each in alarms.values()])
    assert all(f'{{"Ref": "{name}"}}' in watched for name in (*FUNCTIONS, "Table"))
    assert all(each["Properties"]["AlarmActions"]["Fn::If"][0] == "Heard" for each in alarms.values())


def test_no_secret_can_be_written_into_the_template(written: Any) -> None:
    secrets = ("AnthropicApiKey", "SealKey")
    for name in secrets:
        parameter = written["Parameters"][name]
        assert parameter["AllowedPattern"] == "^(ssm:/.+|secretsmanager:.+)$"
        assert parameter["Default"].startswith("ssm:/gateway/")


def test_every_variable_that_the_configuration_names_is_given(written: Any) -> None:
    text = (ROOT / "infra/lambda/gateway.yaml").read_text()
    given = written["Globals"]["Function"]["Environment"]["Variables"]
    assert {part.split("}")[0] for part in text.split("${")[1:]} <= set(given)


def test_every_parameter_and_output_is_explained(written: Any) -> None:
    page = (ROOT / "docs/deploy-lambda.md").read_text()
    missing = [name for name in (*written["Parameters"], *written["Outputs"]) if f"`{name}`" not in page]
    assert missing == []


def test_what_to_paste_is_an_output(written: Any) -> None:
    assert set(written["Outputs"]) == {"Store", "BufferedUrl", "StreamingUrl", "ClaudeCode"}
    assert "ANTHROPIC_BASE_URL=${Url}" in json.dumps(written["Outputs"]["ClaudeCode"])


def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "template.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
