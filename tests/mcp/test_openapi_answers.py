"""What an API answers, as the result of a tool: shown as what it is, or an error that says why not."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.mcp.apis import Api, behind, one, said
from tests.mcp.clients import Legacy, Modern, eventually
from tests.mcp.test_policies import Guard, under

PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("kind", "sent", "content", "structured"),
    [
        ("application/json; charset=utf-8", b'{"a": 1.50}', {"type": "text", "text": '{"a": 1.50}'}, {"a": 1.5}),
        ("application/hal+json", b'{"a":1}', {"type": "text", "text": '{"a":1}'}, {"a": 1}),
        ("application/json", b"[1,2]", {"type": "text", "text": "[1,2]"}, None),
        ("application/json", b"{broken", {"type": "text", "text": "{broken"}, None),
        ("application/json", b"\xef\xbb\xbf{}", {"type": "text", "text": "{}"}, {}),
        ("", b'{"a":1}', {"type": "text", "text": '{"a":1}'}, {"a": 1}),
        ("text/plain", "é".encode(), {"type": "text", "text": "é"}, None),
        ("text/plain; charset=latin-1", b"\xe9", {"type": "text", "text": "é"}, None),
        ("text/plain; charset=none-such", b"a", {"type": "text", "text": "a"}, None),
        ("text/plain; charset=idna", b"a", {"type": "text", "text": "a"}, None),
        ("text/plain; charset=iso-8859-99", b"a", {"type": "text", "text": "a"}, None),
        ('text/plain; charset="windows-1252"', b"\x80", {"type": "text", "text": "€"}, None),
        ("text/html", b"<p>", {"type": "text", "text": "<p>"}, None),
        ("image/svg+xml", b"<svg/>", {"type": "text", "text": "<svg/>"}, None),
        ("image/png", PICTURE, {"type": "image", "data": base64.b64encode(PICTURE).decode(), "mimeType": "image/png"}, None),
        ("application/pdf", b"%PDF-\xff", {"type": "text", "text": "[application/pdf, 6 bytes: not shown]"}, None),
        ("", b"\xff\xfe", {"type": "text", "text": "[data of no named kind, 2 bytes: not shown]"}, None),
        ("application/json", b"", {"type": "text", "text": "HTTP 200 OK, without content"}, None),
    ],
)  # fmt: skip
async def test_an_answer_is_shown_as_what_it_is(
    kind: str, sent: bytes, content: Any, structured: Any
) -> None:
    async with behind(Api(kind=kind, body=sent), one()) as app:
        result = await Modern(app).call("x")
    assert result["content"] == [content]
    assert result.get("structuredContent") == structured
    assert "isError" not in result


@pytest.mark.parametrize(("depth", "structured"), [(128, True), (129, False), (1000, False), (5000, False)])
@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_an_answer_nested_too_deeply_is_a_text(era: Any, depth: int, structured: bool) -> None:
    sent = b'{"a":' * depth + b"1" + b"}" * depth
    async with behind(Api(body=sent), one()) as app:
        asking = era(app, prepare=under(guard=Guard()))
        result = await (asking if era is Modern else await asking.begin()).call("x")
    assert said(result) == sent.decode()
    assert ("structuredContent" in result) is structured


@pytest.mark.parametrize(
    ("status", "kind", "sent", "text"),
    [
        (404, "application/json", b'{"detail":"no such pet"}', 'HTTP 404 Not Found: {"detail":"no such pet"}'),
        (500, "text/plain", b"", "HTTP 500 Internal Server Error"),
        (599, "text/plain", b"odd", "HTTP 599: odd"),
        (400, "application/pdf", b"%PDF", "HTTP 400 Bad Request: [application/pdf, 4 bytes: not shown]"),
        (422, "text/plain", b"x" * 5000, "HTTP 422 Unprocessable Entity: " + "x" * 4096 + "… [5000 characters]"),
        (304, "text/html", b"", "HTTP 304 Not Modified"),
        (302, "text/html", b"<a>", "HTTP 302 Found: where the API sends to is not followed"),
    ],
)  # fmt: skip
async def test_a_refusal_of_the_api_is_a_tools_error_with_what_it_said(
    status: int, kind: str, sent: bytes, text: str
) -> None:
    api = Api(status=status, kind=kind, body=sent, headers={"location": "https://elsewhere.example/secret"})
    async with behind(api, one()) as app:
        result = await Modern(app).call("x")
    assert (result["isError"], said(result)) == (True, text)
    assert "structuredContent" not in result
    assert len(api.asked) == 1


async def test_an_api_that_cannot_be_reached_is_not_named_to_the_client() -> None:
    async with behind(Api(), one(), options={"url": "http://127.0.0.1:1"}) as app:
        result = await Modern(app).call("x")
    assert result["isError"] is True
    assert said(result) == "The tool could not be called: it cannot be reached."
    assert "127.0.0.1" not in json.dumps(result)


async def test_an_api_that_is_too_slow_is_given_up() -> None:
    api = Api(hang=True)
    async with behind(api, one(), options={"timeout": 0.1}) as app:
        result = await Modern(app).call("x")
        assert said(result) == "The tool could not be called: it did not answer in time."
        await asyncio.wait_for(api.left.wait(), 2)


async def test_a_client_that_leaves_ends_the_request_to_the_api() -> None:
    api = Api(hang=True)
    async with behind(api, one()) as app:
        task = asyncio.create_task(Modern(app).send("tools/call", {"name": "x", "arguments": {}}))
        await eventually(lambda: api.asked)
        task.cancel()
        await asyncio.wait_for(api.left.wait(), 2)


async def test_an_answer_that_came_packed_is_not_passed_off_as_text() -> None:
    async with behind(Api(headers={"content-encoding": "gzip"}), one()) as app:
        result = await Modern(app).call("x")
    assert "packed" in said(result)
    assert result["isError"] is True
