"""The signature against AWS's own vectors, and against botocore for requests that look like ours."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.dynamodb.sigv4 import Credentials, Signer, canonical_request, string_to_sign

VECTORS = Path(__file__).parent.parent / "vectors/sigv4"
CASES = sorted(path.name for path in VECTORS.iterdir() if path.is_dir())


def read(case: str, name: str) -> str:
    return (VECTORS / case / name).read_text()


def parts(case: str) -> tuple[str, str, str, list[tuple[str, str]], bytes, dict[str, object]]:
    """The request as a client would sign it: with the date, and the token unless the case leaves it out."""
    context = json.loads(read(case, "context.json"))
    head, _, body = read(case, "request.txt").partition("\n\n")
    first, *lines = head.splitlines()
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
    headers.append(("X-Amz-Date", stamp(context)))
    if context["sign_body"]:
        headers.append(("X-Amz-Content-Sha256", hashlib.sha256(body.encode()).hexdigest()))
    if "token" in context["credentials"] and not context.get("omit_session_token"):
        headers.append(("X-Amz-Security-Token", context["credentials"]["token"]))
    return method, path, query, headers, body.encode(), context


def stamp(context: dict[str, str]) -> str:
    return context["timestamp"].replace("-", "").replace(":", "")


@pytest.mark.parametrize("case", CASES)
def test_each_step_is_as_in_the_vectors(case: str) -> None:
    method, path, query, headers, body, context = parts(case)
    _, canonical = canonical_request(method, path, query, headers, body)
    assert canonical.decode() == read(case, "header-canonical-request.txt")
    scope = f"{stamp(context)[:8]}/us-east-1/service/aws4_request"
    assert string_to_sign(canonical, stamp(context), scope).decode() == read(
        case, "header-string-to-sign.txt"
    )
    keys = context["credentials"]
    credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
    value = Signer("us-east-1", "service").authorization(
        credentials, method, path, query, headers, body, stamp(context)
    )
    assert value.endswith("Signature=" + read(case, "header-signature.txt").strip())


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "a-token+/="]),
    st.sampled_from(["20260101T000000Z", "20260229T235959Z"]),
)
def test_it_signs_as_botocore_does(body: bytes, token: str, at: str) -> None:
    headers = [("content-type", "application/x-amz-json-1.0"), ("host", "dynamodb.eu-west-1.amazonaws.com"),
               ("x-amz-date", at), ("x-amz-target", "DynamoDB_20120810.UpdateItem")]  # fmt: skip
    if token:
        headers.append(("x-amz-security-token", token))
    ours = Signer("eu-west-1", "dynamodb").authorization(
        Credentials("AKID", "secret", token), "POST", "/", "", headers, body, at
    )
    oracle = SigV4Auth(BotoCredentials("AKID", "secret", token or None), "dynamodb", "eu-west-1")
    request = AWSRequest(
        "POST",
        "https://dynamodb.eu-west-1.amazonaws.com/",
        data=body,
        headers=dict(headers[:1] + headers[3:]),
    )
    request.headers["X-Amz-Date"] = at
    request.context["timestamp"] = at
    text = oracle.string_to_sign(request, oracle.canonical_request(request))
    assert ours.endswith("Signature=" + oracle.signature(text, request))


def test_a_key_of_another_day_or_secret_is_not_used_again() -> None:
    signer = Signer("us-east-1", "dynamodb")

    def sign(secret: str, at: str) -> str:
        return signer.authorization(
            Credentials("AKID", secret), "POST", "/", "", [("x-amz-date", at)], b"", at
        )

    first = sign("one", "20260101T000000Z")
    assert sign("two", "20260101T000000Z") != first
    assert "20260102" in sign("one", "20260102T000000Z")
    assert sign("one", "20260101T000000Z") == first
