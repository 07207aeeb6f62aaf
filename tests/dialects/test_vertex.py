"""Claude on Vertex: bodies, paths, betas, errors."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import vertex
from gateway.llm.dialects.protocol import Json, Options, Target
from tests.dialects.conversations import ATTRIBUTION, text, tool, user
from tests.dialects.driving import outbound

MODEL = "claude-opus-4-5@20251101"


def made(hub: Json, *, beta: str = "", **options: Any) -> Any:
    headers = {"anthropic-beta": beta, "anthropic-version": "2023-06-01"}
    return outbound(vertex, {"messages": [user("hi")], **hub}, MODEL, headers=headers, **options)


def test_a_request_names_its_model_in_the_path_and_its_version_in_the_body() -> None:
    asked = made({"model": "claude", "system": [text(ATTRIBUTION)]}, stream=True)
    assert asked.path == "/publishers/anthropic/models/claude-opus-4-5@20251101:streamRawPredict"
    assert asked.body == {
        "messages": [user("hi")],
        "max_tokens": 100,
        "stream": True,
        "anthropic_version": "vertex-2023-10-16",
    }
    assert dict(asked.headers) == {"content-type": "application/json"}
    assert made({}).path.endswith(":rawPredict")


def test_betas_stay_in_their_header_as_far_as_vertex_knows_them() -> None:
    asked = made({"speed": "fast"}, beta="web-search-2025-03-05,fast-mode-2026-02-01,future-2027-01-01")
    assert asked.headers["anthropic-beta"] == "web-search-2025-03-05"
    assert "speed" not in asked.body
    assert {"speed", "anthropic-beta: future-2027-01-01"} <= set(asked.losses)


def test_what_claude_code_sends_in_vertex_mode_passes() -> None:
    sent = "claude-code-20250219,interleaved-thinking-2025-05-14,web-search-2025-03-05,tool-search-tool-2025-10-19,effort-2025-11-24"
    assert made({}, beta=sent).headers["anthropic-beta"] == sent


def test_a_web_search_is_vertexs_too() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert made({"tools": [search, tool()]}).body["tools"] == [search, tool()]


def test_counting_names_the_model_in_the_body() -> None:
    asked = made({}, count=True)
    assert asked.path == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert asked.body == {"model": MODEL, "messages": [user("hi")], "anthropic_version": "vertex-2023-10-16"}


HOSTS = [
    ("global", "aiplatform.googleapis.com"),
    ("us", "aiplatform.us.rep.googleapis.com"),
    ("eu", "aiplatform.eu.rep.googleapis.com"),
    ("us-east5", "us-east5-aiplatform.googleapis.com"),
]


@pytest.mark.parametrize(("location", "host"), HOSTS)
def test_each_location_has_its_host(location: str, host: str) -> None:
    assert vertex.host(location) == host


def test_what_claude_code_sends_in_vertex_mode_is_read() -> None:
    body = {
        "anthropic_version": "vertex-2023-10-16",
        "stream": True,
        "max_tokens": 5,
        "messages": [user("hi")],
    }
    request = vertex.read_request(body, Target(model=MODEL))
    assert request.stream
    assert request.hub == {"model": MODEL, "stream": True, "max_tokens": 5, "messages": [user("hi")]}
    counted = vertex.read_request({"model": MODEL, "messages": [user("hi")]}, Target(count=True))
    assert (counted.count, counted.model) == (True, MODEL)
    with pytest.raises(BadRequest, match="model"):
        vertex.read_request({"messages": []}, Target())


def test_the_same_dialect_passes_every_byte() -> None:
    body = b'{ "anything": 1.0 }'
    assert vertex.forward(body, Options(model="m")) is body
    assert orjson.loads(vertex.forward(b'{"model":"alias"}', Options(model="m", count=True))) == {
        "model": "m"
    }


ERRORS = [
    (
        429,
        {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}},
        429,
        "rate_limit_error",
        "Quota",
    ),
    (
        404,
        [{"error": {"code": 404, "message": "No such model", "status": "NOT_FOUND"}}],
        404,
        "not_found_error",
        "No such model",
    ),
    (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Bad"}},
        400,
        "invalid_request_error",
        "Bad",
    ),
    (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
        529,
        "overloaded_error",
        "Busy",
    ),
]


@pytest.mark.parametrize(("status", "body", "shown", "kind", "said"), ERRORS)
def test_googles_errors_and_claudes_are_told_in_the_hubs_terms(
    status: int, body: Any, shown: int, kind: str, said: str
) -> None:
    info = vertex.read_error(status, {}, orjson.dumps(body))
    assert (info.status, info.type, info.message) == (shown, kind, said)
    assert vertex.read_error(502, {}, b"<html>").message == "<html>"
