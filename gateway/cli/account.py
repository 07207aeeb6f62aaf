"""`gateway check --account`: what the file needs of an AWS account, before anything is made there. Nothing is made or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.cli.live import Answer
from gateway.config.load import Loaded
from gateway.errors import GatewayError, StoreError, StoreUnusable
from gateway.stores.dynamodb import place, table

Section = Mapping[str, Any]
NOBODY = {"pk": {"S": "account-check"}, "sk": {"S": "nothing"}}  # an item that is not there
_THERE = {"Key": NOBODY, "ConditionExpression": "attribute_exists(pk)"}
_OF_NOBODY = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": NOBODY["pk"]}}
# What a gateway does with its table, in forms that change nothing. infra/dynamodb/policy.json allows the same.
PROBES: dict[str, Callable[[Any, str], object]] = {
    "dynamodb:GetItem": lambda db, name: db.get_item(TableName=name, Key=NOBODY),
    "dynamodb:UpdateItem": lambda db, name: db.update_item(TableName=name, **_THERE),
    "dynamodb:DeleteItem": lambda db, name: db.delete_item(TableName=name, **_THERE),
    "dynamodb:BatchWriteItem": lambda db, name: db.batch_write_item(
        RequestItems={name: [{"DeleteRequest": {"Key": NOBODY}}]}
    ),
    "dynamodb:Query": lambda db, name: db.query(TableName=name, Limit=1, **_OF_NOBODY),
    "dynamodb:Scan": lambda db, name: db.scan(TableName=name, Limit=1),
}
READS = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}


def answers(loaded: Loaded, *, role: str = "") -> Iterator[Answer]:
    """`role` is what the gateway will run as, where that is not who asks.

    Secrets have been read while the file was loaded: one that is missing is a problem with its line.
    """
    account = Account()
    who = asked("AWS account", account.whoami)
    yield who
    if who.good:
        yield from needed(loaded, account, role=role)


def needed(
    loaded: Loaded, account: Account, *, role: str = "", made: Set[str] = frozenset()
) -> Iterator[Answer]:
    """`made` are tables that the deployment makes itself."""
    url = loaded.data.get("store", "memory:")
    if url.startswith("dynamodb:") and urlsplit(url).netloc not in made:
        yield from _table(url, account, role)
    if role:
        for scheme, name in loaded.secrets:
            rights = partial(account.permitted, role, [READS[scheme]], account.secret(scheme, name))
            yield asked(f"{scheme}:{name}", rights)
        if uses_bedrock(loaded.data):
            yield asked("models of Bedrock", partial(account.permitted, role, ["bedrock:InvokeModel"], "*"))


def asked(what: str, ask: Callable[[], str]) -> Answer:
    try:
        return Answer(what, True, ask())
    except GatewayError as error:
        return Answer(what, False, str(error))


def uses_bedrock(file: Section) -> bool:
    sections = [(route.get("llm") or {}).get("providers", {}) for route in file["routes"]]
    return any(each.get("type", name) == "bedrock" for section in sections for name, each in section.items())


class Account:
    """Whose credentials these are, and what AWS says of anybody's rights in it."""

    def __init__(self) -> None:
        self.arn = self.number = ""

    @property
    def partition(self) -> str:
        return self.arn.split(":")[1]

    def whoami(self) -> str:
        with table.asking(), closing(_client("sts")) as sts:
            found = sts.get_caller_identity()
        self.arn, self.number = found["Arn"], found["Account"]
        return f"{self.number}, as {self.arn}"

    def principal(self) -> str:
        """Whose policies decide. A session does not tell the path of its role."""
        from botocore.exceptions import ClientError

        kind, _, name = self.arn.rpartition(":")[2].partition("/")
        if kind != "assumed-role":
            return self.arn
        role = name.partition("/")[0]
        try:
            with closing(_client("iam")) as iam:
                return str(iam.get_role(RoleName=role)["Role"]["Arn"])
        except ClientError:
            return f"arn:{self.partition}:iam::{self.number}:role/{role}"

    def permitted(self, who: str, actions: Sequence[str], resource: str) -> str:
        """By AWS's own reading of the policies. Raises StoreUnusable that names what is not allowed."""
        from botocore.exceptions import ClientError

        asking = {"PolicySourceArn": who, "ActionNames": list(actions), "ResourceArns": [resource]}
        try:
            with closing(_client("iam")) as iam:
                found = iam.simulate_principal_policy(**asking)["EvaluationResults"]
        except ClientError as error:
            if _refused(error):
                return "not known: these credentials may not iam:SimulatePrincipalPolicy"
            raise StoreError(f"{who}: {error.response['Error'].get('Message', error)}") from None
        lacking = [each["EvalActionName"] for each in found if each["EvalDecision"] != "allowed"]
        if lacking:
            raise StoreUnusable(f"{who} may not {', '.join(lacking)} on {resource}")
        return f"{who} may use it"

    def secret(self, scheme: str, name: str) -> str:
        """Its ARN."""
        if name.startswith("arn:"):
            return name
        if scheme == "ssm":
            return f"arn:{self.partition}:ssm:{region()}:{self.number}:parameter/{name.lstrip('/')}"
        return f"arn:{self.partition}:secretsmanager:{region()}:{self.number}:secret:{name}-000000"


def region() -> str:
    import boto3

    return boto3.Session().region_name or "us-east-1"


def _client(service: str) -> Any:
    import boto3

    return boto3.client(service, region_name=region())


def _table(url: str, account: Account, role: str) -> Iterator[Answer]:
    parts = urlsplit(url)
    region, endpoint = place(dict(parse_qsl(parts.query)))
    name = parts.netloc
    with closing(table.connect(region, endpoint)) as dynamodb:
        there = asked(f"table {name}", lambda: _good(table.problems(dynamodb, name)))
        yield there
        if there.good:
            arn = f"arn:{account.partition}:dynamodb:{region}:{account.number}:table/{name}"
            mine, theirs = (
                partial(_probed, dynamodb, name),
                partial(account.permitted, role, list(PROBES), arn),
            )
            yield asked(f"rights on {name}", theirs if role else mine)


def _good(problems: Sequence[str]) -> str:
    if problems:
        raise StoreUnusable("; ".join(problems))
    return "is there, with its key and its time to live"


def _probed(dynamodb: Any, name: str) -> str:
    """With the credentials of whoever asks."""
    lacking = [action for action, probe in PROBES.items() if _denied(probe, dynamodb, name)]
    if lacking:
        raise StoreUnusable(
            f"these credentials may not {', '.join(lacking)}: infra/dynamodb/policy.json allows it"
        )
    return "these credentials may do what a gateway does"


def _denied(probe: Callable[[Any, str], object], dynamodb: Any, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        probe(dynamodb, name)
    except ClientError as error:
        return _refused(error)
    return False


def _refused(error: Any) -> bool:
    return str(error.response["Error"]["Code"]).startswith("AccessDenied")
