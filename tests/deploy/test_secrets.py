"""Secrets of AWS, read by a signed request of our own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.config.aws_secrets import fetch
from gateway.config.load import Broken, loads

ROLE = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "of-a-role", "AWS_REGION": "eu-west-1"}  # fmt: skip
KNOWN = {"/gateway/key": "sk-1", "gateway/key": "sk-2"}


class Aws(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        target, signed = self.headers["x-amz-target"], self.headers["authorization"]
        self.asked.append((target, signed, self.headers["x-amz-security-token"] or ""))
        name = body.get("Name") or body["SecretId"]
        if "forbidden" in name:
            return self._answer(400, {"__type": "AccessDeniedException", "Message": "no"})
        if name.rpartition(":")[2] not in KNOWN:
            kind = "ParameterNotFound" if "Name" in body else "ResourceNotFoundException"
            return self._answer(400, {"__type": f"com.amazonaws#{kind}"})
        value = KNOWN[name.rpartition(":")[2]]
        self._answer(200, {"Parameter": {"Value": value}} if "Name" in body else {"SecretString": value})

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def aws() -> Iterator[tuple[dict[str, str], list[tuple[str, str, str]]]]:
    asked: list[tuple[str, str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Aws,), {"asked": asked}))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield {**ROLE, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Place = tuple[dict[str, str], list[tuple[str, str, str]]]


@pytest.mark.parametrize(
    ("scheme", "name", "value", "target", "scope"),
    [
        ("ssm", "/gateway/key", "sk-1", "AmazonSSM.GetParameter", "/eu-west-1/ssm/aws4_request"),
        ("secretsmanager", "gateway/key", "sk-2", "secretsmanager.GetSecretValue", "/eu-west-1/secretsmanager/aws4_request"),
        ("secretsmanager", "arn:aws:secretsmanager:us-east-2:123456789012:secret:gateway/key", "sk-2", "secretsmanager.GetSecretValue", "/us-east-2/secretsmanager/aws4_request"),
    ],
)  # fmt: skip
def test_a_secret_is_asked_for_by_the_role(
    aws: Place, scheme: str, name: str, value: str, target: str, scope: str
) -> None:
    environment, asked = aws
    assert fetch(scheme, name, environment) == value
    [(told, signed, token)] = asked
    assert (told, token) == (target, "of-a-role")
    assert scope in signed


@pytest.mark.parametrize(
    ("scheme", "name", "says"),
    [
        ("ssm", "/gone", "ssm:/gone cannot be read: there is no such parameter in eu-west-1"),
        ("secretsmanager", "gone", "secretsmanager:gone cannot be read: there is no such secret in eu-west-1"),
        ("ssm", "/forbidden", "this role may not read it: allow ssm:GetParameter on it"),
        ("secretsmanager", "forbidden", "allow secretsmanager:GetSecretValue on it"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(aws: Place, scheme: str, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fetch(scheme, name, aws[0])


def test_without_a_region_nobody_can_be_asked() -> None:
    with pytest.raises(ValueError, match="set AWS_REGION"):
        fetch("ssm", "/gateway/key", {})


def test_an_unreachable_service_is_said_to_be_one() -> None:
    with pytest.raises(ValueError, match=r"ssm:/x cannot be read: .*refused"):
        fetch("ssm", "/x", {**ROLE, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})


def test_a_file_with_a_missing_secret_says_where(monkeypatch: pytest.MonkeyPatch, aws: Place) -> None:
    for key, value in aws[0].items():
        monkeypatch.setenv(key, value)
    text = "routes:\n- path: /\n  llm: {providers: {anthropic: {api_key: 'ssm:/gone'}}}\n"
    with pytest.raises(Broken, match=r"gateway.yaml:3: .*api_key: ssm:/gone cannot be read"):
        loads(text, source="gateway.yaml", folder=Path())
