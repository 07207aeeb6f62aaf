"""An AWS account in which a test says what there is: the JSON services and the query services that a check asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

NUMBER = "123456789012"
TABLE = {"TableStatus": "ACTIVE", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
         "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]}  # fmt: skip
OTHERS = {**TABLE, "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}  # fmt: skip


@dataclass
class Aws:
    """`denied` holds actions; to whoever asks, and to any role that is asked about."""

    tables: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    arn: str = f"arn:aws:iam::{NUMBER}:user/ada"
    expires: bool = True
    url: str = ""
    wrote: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip

    def json(self, target: str, asked: Any) -> tuple[int, Any]:
        service, _, verb = target.partition(".")
        action = ("ssm:" if service == "AmazonSSM" else "dynamodb:") + verb
        if action in self.denied:
            return 400, {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"}
        if action == "ssm:GetParameter":
            value = self.parameters.get(asked["Name"])
            return (200, {"Parameter": {"Value": value}}) if value else (400, {"__type": "ParameterNotFound"})
        return self.dynamodb(verb, asked)

    def dynamodb(self, verb: str, asked: Any) -> tuple[int, Any]:
        table = self.tables.get(asked.get("TableName") or next(iter(asked.get("RequestItems", ())), ""))
        if table is None:
            return 400, {
                "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
                "message": "none",
            }
        if verb == "DescribeTable":
            return 200, {"Table": table}
        if verb == "DescribeTimeToLive":
            on = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
            return 200, {"TimeToLiveDescription": on if self.expires else {"TimeToLiveStatus": "DISABLED"}}
        if "ConditionExpression" in asked:
            return 400, {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "absent"}  # fmt: skip
        if verb in ("CreateTable", "PutItem", "UpdateItem", "DeleteItem"):
            self.wrote.append(verb)
        return 200, {"Items": [], "Count": 0, "UnprocessedItems": {}} if verb != "GetItem" else {}

    def query(self, asked: dict[str, str]) -> tuple[int, str]:
        if asked["Action"] == "GetCallerIdentity":
            return 200, result("GetCallerIdentity", f"<Arn>{self.arn}</Arn><UserId>U</UserId><Account>{NUMBER}</Account>")  # fmt: skip
        if f"iam:{asked['Action']}" in self.denied:
            return 403, failure("AccessDenied", "not authorized")
        who = asked.get("PolicySourceArn", "")
        if asked["Action"] != "SimulatePrincipalPolicy" or (":role/" in who and who not in self.roles):
            return 404, failure("NoSuchEntity", f"{who} cannot be found")
        actions = [value for key, value in sorted(asked.items()) if key.startswith("ActionNames.member.")]
        told = "".join(f"<member><EvalActionName>{each}</EvalActionName><EvalDecision>{'implicitDeny' if each in self.denied else 'allowed'}"
                       "</EvalDecision></member>" for each in actions)  # fmt: skip
        return 200, result("SimulatePrincipalPolicy", f"<EvaluationResults>{told}</EvaluationResults>")


def result(action: str, inside: str) -> str:
    return f"<{action}Response><{action}Result>{inside}</{action}Result></{action}Response>"


def failure(code: str, message: str) -> str:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


class _Door(BaseHTTPRequestHandler):
    aws: Aws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if target := self.headers["x-amz-target"]:
            status, told = self.aws.json(target, json.loads(body))
            text, media = json.dumps(told), "application/x-amz-json-1.0"
        else:
            status, text = self.aws.query({name: values[0] for name, values in parse_qs(body).items()})
            media = "text/xml"
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def account(aws: Aws) -> Iterator[Aws]:
    """Serves it on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"aws": aws}))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield aws
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
