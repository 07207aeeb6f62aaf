"""Whatever stands where a credential belongs, the answer is 200, 400 or 401."""

import base64
import json
from typing import Any

import jwt
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.jwks import SecretKeys
from gateway.identity.jwt import Verifier
from gateway.identity.keys import ListedKeys, StoredKeys
from gateway.middleware.auth import AuthMiddleware
from gateway.stores import open_store
from gateway.types import Receive, Scope, Send
from tests.driver import Driver

SECRET = "a shared secret of enough bytes, really"
NAMES = (
    "alg",
    "kid",
    "typ",
    "crit",
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "scope",
    "scp",
    "groups",
    "jwk",
    "email",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=10,
)
LATIN = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60)
CLAIMS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


GUARDED = Driver(
    AuthMiddleware(
        app,
        jwt=[Verifier(issuer="i", audiences=["a"], keys=SecretKeys(SECRET))],
        keys=[ListedKeys([{"key": "sk-1", "id": "k"}]), StoredKeys(open_store("memory:"))],
    )
)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def status(header: str, value: str) -> int:
    return (await GUARDED.request("POST", "/v1/messages", headers={header: value})).status


@given(
    st.sampled_from(["authorization", "x-api-key", "x-goog-api-key", "api-key"]),
    LATIN
    | st.builds("Bearer gwk_{}".format, LATIN)
    | st.builds(lambda head, claims: f"Bearer {part(head)}.{part(claims)}.AAAA", JSON, JSON),
)
async def test_any_text_is_a_credential_or_none(header: str, value: str) -> None:
    assert await status(header, value) in (200, 400, 401)


@given(CLAIMS)
async def test_any_claims_that_are_signed_are_judged(claims: dict[str, Any]) -> None:
    whole = {"iss": "i", "aud": "a", "exp": 4e9} | {
        k: v for k, v in claims.items() if k not in ("iss", "exp", "nbf", "iat")
    }
    signed = jwt.api_jws.encode(json.dumps(whole).encode(), SECRET, algorithm="HS256")
    assert await status("authorization", f"Bearer {signed}") in (200, 400, 401)


@given(CLAIMS)
async def test_any_times_that_are_signed_are_judged(claims: dict[str, Any]) -> None:
    signed = jwt.api_jws.encode(
        json.dumps({"iss": "i", "aud": "a", **claims}).encode(), SECRET, algorithm="HS256"
    )
    assert await status("authorization", f"Bearer {signed}") in (200, 400, 401)
