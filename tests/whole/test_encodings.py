"""Requests whose bodies come packed, before models and tools, with a guard and without one."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.demo.app import demo_app
from tests.whole.running import POLICIES, served, whole

SAID = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
BODIES: Mapping[str, Any] = {
    "/v1/messages": SAID,
    "/v1/messages/count_tokens": SAID,
    "/v1/chat/completions": SAID,
    "/v1/responses": {"model": "m", "input": "hello"},
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": "hello"}]}]},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
}
GUARD = ", guard: {request: [{regex: '(?i)project falcon', action: REJECT}], response: [{scanner: pii, action: mask}]}"


def said(path: str, reply: httpx.Response) -> str:
    """What the dialect's clients show."""
    error = reply.json()["error"]
    if path.startswith("/v1/messages"):
        assert (reply.json()["type"], error["type"]) == ("error", "invalid_request_error")
    elif path.startswith("/v1beta"):
        assert (error["code"], error["status"]) == (415, "INVALID_ARGUMENT")
    elif path == "/mcp":
        assert isinstance(error["code"], int)
    else:
        assert error["type"] == "invalid_request_error"
    message: str = error["message"]
    return message


@pytest.mark.parametrize("guard", ["", GUARD], ids=["without a guard", "with a guard"])
async def test_a_body_in_an_encoding_is_refused_by_its_name_in_every_dialect(
    tmp_path: Path, guard: str
) -> None:
    async with served(demo_app(tmp_path)) as behind:
        text = (
            f"store: 'memory:'\n{POLICIES.rstrip()[:-1]}{guard}}}\ntelemetry: {{log: 'off'}}\nroutes:\n"
            f"- {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}\n"
            f"- {{path: /mcp, mcp: {{servers: {{files: {{url: '{behind}/filesystem'}}}}}}}}\n"
        )
        async with (
            whole(text, folder=tmp_path) as gateway,
            httpx.AsyncClient(headers=gateway.bearer, base_url=gateway.url) as client,
        ):
            for path, body in BODIES.items():
                plain = orjson.dumps(body)
                for encoding, data in (
                    ("br", b"\x8b\x02\x80{}\x03"),
                    ("gzip", gzip.compress(plain)),
                    ("BR", plain),
                ):
                    reply = await client.post(path, content=data, headers={"content-encoding": encoding})
                    assert (path, encoding, reply.status_code) == (path, encoding, 415)
                    message = said(path, reply)
                    assert repr(encoding.lower()) in message
                    assert "identity" in message
                reply = await client.post(path, content=plain, headers={"content-encoding": "identity"})
                assert (path, reply.status_code) == (path, 200), reply.text
            listed = await client.get("/v1/models", headers={"content-encoding": "gzip"})
            assert listed.status_code == 200, listed.text  # it names an encoding of nothing
