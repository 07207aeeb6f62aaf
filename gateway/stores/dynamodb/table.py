"""The table: what it must be, how it is made, and whether one is. boto3 does this; nothing on a request's way comes here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.errors import StoreError, StoreUnusable

# infra/dynamodb/table.yaml is the same for CloudFormation; a test holds them together.
DEFINITION: dict[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TTL = {"AttributeName": "expires", "Enabled": True}


def connect(region: str, endpoint: str = "", *, credentials: tuple[str, str] | None = None) -> Any:
    import boto3

    key, secret = credentials or (None, None)
    return boto3.client("dynamodb", region_name=region, endpoint_url=endpoint or None,
                        aws_access_key_id=key, aws_secret_access_key=secret)  # fmt: skip


@contextmanager
def asking() -> Iterator[None]:
    """What boto3 raises as our own errors."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise StoreUnusable(
            "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except ClientError as error:
        kind = error.response["Error"]["Code"]
        if not kind.startswith("AccessDenied"):
            raise StoreError(
                f"DynamoDB {error.operation_name}: {kind} {error.response['Error'].get('Message', '')}"
            ) from None
        raise StoreUnusable(f"these credentials may not dynamodb:{error.operation_name}: allow it") from None
    except BotoCoreError as error:
        raise StoreError(f"DynamoDB: {error}") from None


def create(dynamodb: Any, table: str) -> bool:
    """Makes what is missing; False if the table stood already. Raises StoreError, as `problems` does."""
    with asking():
        return _create(dynamodb, table)


def _create(dynamodb: Any, table: str) -> bool:
    existing = _describe(dynamodb, table)
    if existing is None:
        dynamodb.create_table(TableName=table, **DEFINITION)
        dynamodb.get_waiter("table_exists").wait(
            TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    if _ttl(dynamodb, table) != TTL["AttributeName"]:
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=TTL)
    return existing is None


def problems(dynamodb: Any, table: str) -> list[str]:
    """What is wrong with the table; nothing if it will do."""
    with asking():
        return _problems(dynamodb, table)


def _problems(dynamodb: Any, table: str) -> list[str]:
    found = _describe(dynamodb, table)
    if found is None:
        return [f"there is no table {table}: gateway store init makes it"]
    wrong = []
    if found["TableStatus"] != "ACTIVE":
        wrong.append(f"the table is {found['TableStatus']}")
    if _plain(found["KeySchema"]) != _plain(DEFINITION["KeySchema"]):
        wrong.append("its key is not pk (hash) and sk (range): it is another program's table")
    types = {item["AttributeName"]: item["AttributeType"] for item in found["AttributeDefinitions"]}
    if types.get("pk") != "S" or types.get("sk") != "S":
        wrong.append("pk and sk are not strings")
    if _ttl(dynamodb, table) != TTL["AttributeName"]:
        wrong.append("items do not expire: time to live is not on for the attribute `expires`")
    return wrong


def _plain(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((item["KeyType"], item["AttributeName"]) for item in schema)


def _describe(dynamodb: Any, table: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = dynamodb.describe_table(TableName=table)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return None
    return found


def _ttl(dynamodb: Any, table: str) -> str:
    found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return found.get("AttributeName", "") if found["TimeToLiveStatus"] in ("ENABLED", "ENABLING") else ""
