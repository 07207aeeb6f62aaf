"""How requests to providers prove who we are: AWS's published examples, google-auth, plain keys."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account

from gateway.llm.dialects import bedrock
from gateway.llm.dialects.protocol import Options
from gateway.llm.signing import AwsSigner, GoogleSigner, KeySigner, Unsigned, bearer

AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
FORM = (b"content-type", b"application/x-www-form-urlencoded")

# From the signature version 4 test suite that AWS publishes (get-vanilla, post-vanilla, post-x-www-form-urlencoded).
PUBLISHED = [
    ("GET", [], b"", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("POST", [], b"", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("POST", [FORM], b"Param1=value1", "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "headers", "body", "signed", "signature"), PUBLISHED)
async def test_awss_published_examples(
    method: str, headers: Any, body: bytes, signed: str, signature: str
) -> None:
    signer = AwsSigner(region="us-east-1", service="service", credentials=EXAMPLE, clock=lambda: AT)
    sent = dict(await signer.sign(method, "https://example.amazonaws.com/", headers, body))
    assert sent[b"authorization"].decode() == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={signed}, Signature={signature}"
    )
    assert sent[b"x-amz-date"] == b"20150830T123600Z"
    assert sent[b"host"] == b"example.amazonaws.com"


async def test_the_path_of_a_model_is_the_one_that_botocore_sends_and_signs() -> None:
    seen: list[Any] = []

    def stop(request: Any, **_: Any) -> Any:
        seen.append(request)
        raise InterruptedError

    model = "us.anthropic.claude-opus-4-6-v1:0"
    client: Any = Session().create_client(
        "bedrock-runtime", region_name="us-east-1", aws_access_key_id="AKID", aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    client.meta.events.register("before-send.bedrock-runtime.InvokeModel", stop)
    with pytest.raises(InterruptedError):
        client.invoke_model(modelId=model, body=b"{}")
    (theirs,) = seen
    url = "https://bedrock-runtime.us-east-1.amazonaws.com" + bedrock.path(Options(model=model))
    assert urlsplit(theirs.url).path == urlsplit(url).path
    at = datetime.strptime(theirs.headers["X-Amz-Date"].decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signer = AwsSigner(region="us-east-1", credentials=Credentials("AKID", "secret"), clock=lambda: at)
    ours = dict(await signer.sign("POST", url, [(b"content-type", b"application/json")], b"{}"))
    # botocore signs more headers; its own code over ours must come to our signature
    request = AWSRequest(
        "POST",
        url,
        {"content-type": "application/json", "X-Amz-Date": theirs.headers["X-Amz-Date"].decode()},
        b"{}",
    )
    request.context["timestamp"] = theirs.headers["X-Amz-Date"].decode()
    auth = SigV4Auth(Credentials("AKID", "secret"), "bedrock", "us-east-1")
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert ours[b"authorization"].decode().endswith(f"Signature={expected}")


async def test_a_session_token_is_sent_and_signed_and_old_credentials_are_replaced() -> None:
    signer = AwsSigner(
        region="us-east-1", credentials=Credentials("AKID", "secret", "token"), clock=lambda: AT
    )
    given = [
        (b"Authorization", b"Bearer mine"),
        (b"host", b"old"),
        (b"x-amz-security-token", b"old"),
        (b"x-other", b"kept"),
    ]
    sent = await signer.sign("POST", "https://host/model/a/invoke", given, b"{}")
    names = [name for name, _ in sent]
    assert len(names) == len(set(names))
    found = dict(sent)
    assert found[b"x-amz-security-token"] == b"token"
    assert b"host;x-amz-date;x-amz-security-token" in found[b"authorization"]
    assert found[b"x-other"] == b"kept"


async def test_the_body_is_part_of_the_signature() -> None:
    signer = AwsSigner(region="us-east-1", credentials=EXAMPLE, clock=lambda: AT)
    first = dict(await signer.sign("POST", "https://host/", [], b"{}"))
    second = dict(await signer.sign("POST", "https://host/", [], b"{ }"))
    assert first[b"authorization"] != second[b"authorization"]


async def test_credentials_that_expire_are_renewed_beside_the_loop() -> None:
    renewed: list[int] = []

    def renew() -> dict[str, str]:
        renewed.append(1)
        return {"access_key": f"AKID{len(renewed)}", "secret_key": "s", "token": "t",
                "expiry_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}  # fmt: skip

    old = RefreshableCredentials("AKID0", "s", "t", datetime.now(UTC) - timedelta(hours=1), renew, "test")
    signer = AwsSigner(region="us-east-1", credentials=old)
    sent = await asyncio.gather(*(signer.sign("POST", "https://host/", [], b"") for _ in range(5)))
    assert all(b"Credential=AKID1/" in dict(headers)[b"authorization"] for headers in sent)
    assert renewed == [1]


async def test_without_aws_credentials_the_error_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(LookupError, match="AWS_ACCESS_KEY_ID"):
        await AwsSigner(region="us-east-1").sign("POST", "https://host/", [], b"")


class Tokens:
    """Google's token endpoint, as google-auth calls it."""

    def __init__(self, lifetime: int) -> None:
        self.lifetime = lifetime
        self.asked = 0

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: Any = None,
        **_: Any,
    ) -> Any:
        self.asked += 1
        data = json.dumps(
            {"access_token": f"ya29.{self.asked}", "expires_in": self.lifetime, "token_type": "Bearer"}
        )
        return type("Response", (), {"status": 200, "headers": {}, "data": data.encode()})()


def service() -> Any:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": pem.decode(),
            "token_uri": "https://oauth2.googleapis.com/token"}  # fmt: skip
    return service_account.Credentials.from_service_account_info(
        info, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )


async def test_a_google_token_is_fetched_once_and_used_until_it_expires() -> None:
    tokens = Tokens(lifetime=3600)
    signer = GoogleSigner(credentials=service(), transport=tokens)
    sent = await asyncio.gather(
        *(signer.sign("POST", "https://host/", [(b"authorization", b"Bearer mine")], b"") for _ in range(5))
    )
    assert all(headers == [(b"authorization", b"Bearer ya29.1")] for headers in sent)
    assert tokens.asked == 1


async def test_a_google_token_that_has_expired_is_renewed() -> None:
    tokens = Tokens(lifetime=1)
    signer = GoogleSigner(credentials=service(), transport=tokens)
    for number in (1, 2):
        assert (
            dict(await signer.sign("POST", "https://host/", [], b""))[b"authorization"]
            == f"Bearer ya29.{number}".encode()
        )


async def test_fixed_credentials_replace_the_clients_own() -> None:
    given = [(b"x-api-key", b"mine"), (b"authorization", b"Bearer mine"), (b"x", b"y")]
    assert dict(KeySigner("x-api-key", "ours").sign("POST", "u", given, b"")) == {
        b"x-api-key": b"ours", b"authorization": b"Bearer mine", b"x": b"y",
    }  # fmt: skip
    assert dict(bearer("ours").sign("POST", "u", given, b""))[b"authorization"] == b"Bearer ours"
    assert Unsigned().sign("POST", "u", given, b"") == given


@pytest.mark.parametrize(
    ("missing", "made", "extra"),
    [("botocore", "AwsSigner(region='us-east-1')", "aws"), ("google.auth", "GoogleSigner()", "google")],
)
def test_a_missing_extra_is_named(missing: str, made: str, extra: str) -> None:
    """In a Python of its own, which has everything but that package."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from gateway.llm.signing import AwsSigner, GoogleSigner\n"
        "from gateway.errors import ConfigError\n"
        f"try: {made}\n"
        "except ConfigError as error: print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"asgi-gateway[{extra}]" in ended.stdout
