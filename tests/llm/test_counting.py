"""Tokens are counted for every client at every provider: its own count, else an estimate that says so."""

from __future__ import annotations

from base64 import b64encode
from itertools import product
from typing import Any

import orjson
import pytest

from tests.dialects.conversations import SCHEMA
from tests.llm.scripted import driver, scripted, whole

MESSAGES = [{"role": "user", "content": "go"}]
TOOLS = [{"name": "a", "input_schema": SCHEMA}]
INVOKED = orjson.dumps({"anthropic_version": "x", "max_tokens": 1, "messages": MESSAGES})
CLIENTS: dict[str, tuple[str, Any, str]] = {
    "anthropic": ("/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES, "tools": TOOLS, "system": "Be brief."}, "input_tokens"),
    "openai-responses": ("/v1/responses/input_tokens", {"model": "m", "input": "go"}, "input_tokens"),
    "gemini": ("/v1beta/models/m:countTokens", {"contents": [{"role": "user", "parts": [{"text": "go"}]}]}, "totalTokens"),
    "bedrock": ("/model/claude-x/count-tokens", {"input": {"invokeModel": {"body": b64encode(INVOKED).decode()}}}, "inputTokens"),
    "vertex": ("/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
               {"model": "claude-x", "messages": MESSAGES}, "input_tokens"),
}  # fmt: skip
COUNTED = {"anthropic": "input_tokens", "vertex": "input_tokens", "gemini": "totalTokens", "openai-responses": "input_tokens",
           "bedrock": "inputTokens", "openai-chat": "", "bedrock-converse": ""}  # fmt: skip


@pytest.mark.parametrize(("client", "wire"), list(product(CLIENTS, COUNTED)))
async def test_each_client_counts_at_each_provider(client: str, wire: str) -> None:
    path, body, told = CLIENTS[client]
    app, provider = scripted(wire)
    key = COUNTED[wire]
    provider.answers = [whole(orjson.dumps({key: 11}))] if key else []
    reply = await driver(app).post(path, body)
    assert reply.status == 200, reply.body
    assert reply.headers.get("x-gateway-estimated") == (None if key else "true")
    assert reply.json[told] == 11 if key else reply.json[told] > 0


@pytest.mark.parametrize("wire", [wire for wire, key in COUNTED.items() if key and wire != "anthropic"])
@pytest.mark.parametrize(
    "counted", [b"{}", b"[]", b"<html>", b'{"input_tokens": "x"}', b'{"totalTokens": []}']
)
async def test_a_count_of_another_form_is_no_crash(wire: str, counted: bytes) -> None:
    app, provider = scripted(wire)
    provider.answers = [whole(counted)]
    reply = await driver(app).post(*CLIENTS["anthropic"][:2])
    assert (reply.status, reply.json["error"]["type"]) == (502, "api_error")
