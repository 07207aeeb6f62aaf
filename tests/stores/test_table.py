"""One definition of the table, wherever it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.errors import ConfigError
from gateway.stores import open_store
from gateway.stores.dynamodb import open_table, table

INFRA = Path(__file__).parents[2] / "infra/dynamodb"


def test_cloudformation_makes_the_table_that_the_command_makes() -> None:
    resource: dict[str, Any] = yaml.safe_load((INFRA / "table.yaml").read_text())
    assert {name: resource["Properties"][name] for name in table.DEFINITION} == table.DEFINITION
    assert resource["Properties"]["TimeToLiveSpecification"] == table.TTL


def test_the_policy_allows_exactly_what_the_store_calls() -> None:
    (statement,) = json.loads((INFRA / "policy.json").read_text())["Statement"]
    package = Path(table.__file__).parent
    source = "".join(path.read_text() for path in package.glob("*.py") if path.name != "table.py")
    operations = (
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "TransactWriteItems",
        "Query",
        "Scan",
    )
    called = {f"dynamodb:{name}" for name in operations if f'"{name}"' in source}
    assert set(statement["Action"]) == called


@pytest.mark.parametrize("url", ["redis://x", "sqlite:gateway.db", "sqlite:///", "", "dynamodb://t?regoin=x",
                                 "dynamodb://t?region=r&mode=fast", "dynamodb://?region=r", "sqlite:///g.db?retention=1y",
                                 "sqlite:///g.db?keep=90d", "dynamodb://t?region=r&retention=0d"])  # fmt: skip
def test_what_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_store(url)


def test_the_environment_says_where_the_table_is_and_that_this_is_lambda() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}
    server = open_table("t", {}, keys)
    assert (server._buckets._settle_now, server._buckets._leases is None) == (False, False)
    function = open_table("t", {}, {**keys, "AWS_LAMBDA_FUNCTION_NAME": "f"})
    assert (function._buckets._settle_now, function._buckets._leases is None) == (True, True)
    with pytest.raises(ConfigError, match="region"):
        open_table("t", {}, {})
