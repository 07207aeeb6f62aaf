"""Where AWS credentials come from: each in a process of its own, whose environment says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway.stores.dynamodb.credentials import Fixed, source

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, json, time
from gateway.stores.dynamodb.credentials import source

found = asyncio.run(source().get())
print(json.dumps([found.access_key, found.secret_key, found.token, found.expires - time.time()]))
"""
ENDS = "2099-01-01T00:00:00Z"
STS = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>WEBID</AccessKeyId><SecretAccessKey>web-secret</SecretAccessKey><SessionToken>web-token</SessionToken>
<Expiration>{ENDS}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
CONTAINER = {
    "AccessKeyId": "CONTAINER",
    "SecretAccessKey": "c-secret",
    "Token": "c-token",
    "Expiration": ENDS,
}


class Metadata(BaseHTTPRequestHandler):
    """Both a container's credentials and the token service."""

    seen: list[bytes]

    def do_GET(self) -> None:
        self._answer(json.dumps(CONTAINER).encode(), "application/json")

    def do_POST(self) -> None:
        self.server.seen.append(self.rfile.read(int(self.headers["content-length"])))  # type: ignore[attr-defined]
        self._answer(STS.encode(), "text/xml")

    def _answer(self, body: bytes, media: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def found(**environment: str) -> tuple[str, str, str, float]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
             "AWS_CONFIG_FILE": "/nonexistent", "AWS_REGION": "eu-west-1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=bare | environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))  # type: ignore[return-value]


async def test_keys_in_the_environment_need_no_botocore() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_SESSION_TOKEN": "C"}
    taken = source(environment)
    assert isinstance(taken, Fixed)
    credentials = await taken.get()
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("A", "B", "C")


def test_a_containers_credentials(metadata: HTTPServer) -> None:
    url = f"http://127.0.0.1:{metadata.server_port}/creds"
    access, secret, token, ends = found(AWS_CONTAINER_CREDENTIALS_FULL_URI=url)
    assert (access, secret, token) == ("CONTAINER", "c-secret", "c-token")
    assert ends > 1e9


def test_a_web_identity_as_fly_gives_one(metadata: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("an-oidc-token")
    access, secret, token, ends = found(
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
        AWS_ROLE_ARN="arn:aws:iam::123456789012:role/gateway",
        AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{metadata.server_port}",
    )
    assert (access, secret, token) == ("WEBID", "web-secret", "web-token")
    assert ends > 1e9
    assert b"WebIdentityToken=an-oidc-token" in metadata.seen[0]  # type: ignore[attr-defined]


def test_a_profile(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[work]\naws_access_key_id = PROFILE\naws_secret_access_key = p-secret\n"
    )
    access, secret, token, _ = found(
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"), AWS_PROFILE="work"
    )
    assert (access, secret, token) == ("PROFILE", "p-secret", "")


def test_nothing_of_boto_is_imported_on_the_way_of_a_request() -> None:
    program = (
        "import sys; from gateway.stores import open_store; open_store('dynamodb://t?region=eu-west-1');"
        "print([name for name in sys.modules if name.startswith('boto')])"
    )
    keys = {**os.environ, "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=keys, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
