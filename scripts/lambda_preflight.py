"""Before `sam deploy`: what in the configuration or in the account would make it fail. Nothing is made or changed.

The functions' environment is read from template.yaml, with the parameters of samconfig.toml and of the command line.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gateway.cli import account, check
from gateway.cli.live import Answer
from gateway.config.aws_secrets import fetch
from gateway.config.load import Loaded

ROOT = Path(__file__).parents[1]
# What CloudFormation does in the name of whoever deploys.
DEPLOYS = ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet", "s3:PutObject", "lambda:CreateFunction",
           "lambda:CreateFunctionUrlConfig", "lambda:AddPermission", "apigateway:POST", "iam:CreateRole", "iam:CreatePolicy",
           "iam:AttachRolePolicy", "iam:PassRole", "dynamodb:CreateTable", "dynamodb:UpdateTimeToLive",
           "dynamodb:UpdateContinuousBackups", "logs:CreateLogGroup", "logs:PutRetentionPolicy", "cloudwatch:PutMetricAlarm")  # fmt: skip


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms as `{"Ref": …}`."""

    def short(self, name: str, node: yaml.Node) -> dict[str, Any]:
        if isinstance(node, yaml.MappingNode):
            return {name: self.construct_mapping(node, deep=True)}
        if isinstance(node, yaml.SequenceNode):
            return {name: self.construct_sequence(node, deep=True)}
        assert isinstance(node, yaml.ScalarNode)
        return {name: self.construct_scalar(node)}


Loader.add_multi_constructor("!", Loader.short)


def template() -> Any:
    return yaml.load((ROOT / "template.yaml").read_text(), Loader)


def given(words: Sequence[str], samconfig: Path) -> dict[str, str]:
    """Of samconfig.toml, then of the command line."""
    told: Any = []
    if samconfig.exists():
        sections = tomllib.loads(samconfig.read_text()).get("default", {})
        told = sections.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    pairs = [*(shlex.split(told) if isinstance(told, str) else told), *words]
    return dict(pair.partition("=")[::2] for pair in pairs)


def environment(document: Any, parameters: Mapping[str, str], region: str) -> dict[str, str]:
    """What the functions will have; the stack's own resources by their names in the template."""
    known = {**{name: name for name in document["Resources"]}, **parameters, "AWS::Region": region}
    conditions = document["Conditions"]

    def resolved(value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return known[name]
            case {"Sub": text}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: known[found[1]], text)
            case {"If": [name, yes, no]}:
                return resolved(yes if resolved(conditions[name]) else no)
            case {"Equals": [one, other]}:
                return resolved(one) == resolved(other)
        return value

    variables = document["Globals"]["Function"]["Environment"]["Variables"]
    return {name: str(resolved(value)) for name, value in variables.items()}


def wrong(loaded: Loaded, parameters: Mapping[str, str], store: str) -> Iterator[str]:
    """What the functions' role will not allow."""
    prefix = parameters["SecretPrefix"]
    named = [*loaded.secrets, _reference(parameters["GatewayConfig"])]
    for scheme, name in filter(None, named):
        if not name.startswith(("arn:", f"/{prefix}/" if scheme == "ssm" else f"{prefix}/")):
            yield f"{scheme}:{name}: the functions may read only what is under {prefix}/: SecretPrefix says what"
    if loaded.data.get("store", "memory:") != store:
        yield f'{loaded.source}: store: the functions may use only the table of their stack: store: "${{GATEWAY_STORE}}"'
    if account.uses_bedrock(loaded.data) and parameters["Bedrock"] != "yes":
        yield f"{loaded.source}: a provider is Bedrock, and the functions may not call it: Bedrock=yes"


def _reference(text: str) -> tuple[str, str] | None:
    scheme, _, name = text.partition(":")
    return (scheme, name) if scheme in account.READS else None


def deployer(owner: account.Account) -> Iterator[Answer]:
    """May whoever deploys make what the template names?"""
    yield account.asked("AWS account", owner.whoami)
    if owner.arn and not owner.arn.endswith(":root"):
        yield account.asked("rights to deploy", lambda: owner.permitted(owner.principal(), DEPLOYS, "*"))


def configuration(name: str, folder: Path) -> Path:
    """Of infra/lambda, or what SSM or Secrets Manager holds of it."""
    if (reference := _reference(name)) is None:
        return ROOT / "infra/lambda" / name
    file = folder / "gateway.yaml"
    file.write_text(fetch(*reference))
    return file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parameters", nargs="*", metavar="PARAMETER=VALUE", help="as sam deploy takes them")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    document = template()
    defaults = {name: str(each.get("Default", "")) for name, each in document["Parameters"].items()}
    parameters = defaults | given(args.parameters, ROOT / "samconfig.toml")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or account.region()
    made = environment(document, parameters, region)
    os.environ.update(made, AWS_REGION=region)
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = configuration(parameters["GatewayConfig"], Path(folder))
        except ValueError as error:
            return check.told(check.Report(parameters["GatewayConfig"], [str(error)]), as_json=args.json)
        report, loaded = check.reviewed(file, on="lambda")
    owner = account.Account()
    report.live += deployer(owner)
    if loaded is not None and owner.arn:
        report.live += account.needed(loaded, owner, made={"Table"})
    if loaded is not None:
        report.problems += wrong(loaded, parameters, made["GATEWAY_STORE"])
    return check.told(report, as_json=args.json)


if __name__ == "__main__":
    raise SystemExit(main())
