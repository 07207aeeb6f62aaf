"""What an API answers, as the result of a tool: JSON, texts and pictures as they are, of anything else what it is."""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import Any

import orjson
from msgspec import Raw

from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Members

ERROR = 4096  # characters of the body of an error
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json")
_TEXT = re.compile(
    r"text/.*|.*\+(?:xml|json|yaml)"
    r"|application/(?:json|jsonl|x-ndjson|xml|yaml|x-yaml|toml|javascript|graphql|x-www-form-urlencoded)"
)
_MEDIA = re.compile(r"(image|audio)/[a-z0-9.+-]+")
# Python knows others, which are no charsets or take long on purpose (idna, punycode).
_CHARSET = re.compile(
    r"charset\s*=\s*\"?(iso-?8859-?\d\d?|latin-?1|windows-?125\d|utf-16(?:le|be)?|shift_jis|euc-(?:jp|kr)|gbk|gb2312|gb18030|big5"
    r"|koi8-[ru])\b",
    re.IGNORECASE,
)


def result(status: int, content_type: str, body: bytes) -> bytes:
    """Of the modern era, as JSON."""
    media = content_type.partition(";")[0].strip().lower()
    if status >= 300:
        return _failed(status, media, content_type, body)
    if not body:
        return _said(f"{_named(status)}, without content")
    if _MEDIA.fullmatch(media) and not _TEXT.fullmatch(media):
        block = {
            "type": media.partition("/")[0],
            "data": base64.b64encode(body).decode(),
            "mimeType": media,
        }
        return _result([block])
    text = _text(media, content_type, body)
    if text is None:
        return _said(_not_shown(media, body))
    structured = _object(body) if not media or _JSON.fullmatch(media) else b""
    return _result([{"type": "text", "text": text}], structured=structured)


def failure(text: str) -> bytes:
    return _result([{"type": "text", "text": text}], error=True)


def _failed(status: int, media: str, content_type: str, body: bytes) -> bytes:
    if status < 400 and status != HTTPStatus.NOT_MODIFIED:
        return failure(f"{_named(status)}: where the API sends to is not followed")
    text = _text(media, content_type, body) if body else ""
    if text is None:
        text = _not_shown(media, body)
    if len(text) > ERROR:
        text = text[:ERROR] + f"… [{len(text)} characters]"
    return failure(f"{_named(status)}: {text}" if text else _named(status))


def _named(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _not_shown(media: str, body: bytes) -> str:
    return f"[{media or 'data of no named kind'}, {len(body)} bytes: not shown]"


def _text(media: str, content_type: str, body: bytes) -> str | None:
    """None where it is no text."""
    if not media:
        try:
            return body.decode()
        except UnicodeDecodeError:
            return None
    if not _TEXT.fullmatch(media):
        return None
    charset = _CHARSET.search(content_type)
    try:
        return body.decode(charset[1] if charset else "utf-8-sig", "replace")
    except LookupError:  # there is no iso-8859-99
        return body.decode("utf-8-sig", "replace")


def _object(body: bytes) -> bytes:
    """The body as it came, where it is a JSON object that everybody can read."""
    raw = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        return raw if raw.startswith(b"{") and _shallow(orjson.loads(raw)) else b""
    except orjson.JSONDecodeError:
        return b""


def _shallow(tree: Any) -> bool:
    """No deeper than a message of a client may be."""
    level = [tree]
    for _ in range(jsonrpc.DEPTH):
        values = (each for node in level for each in (node.values() if type(node) is dict else node))
        level = [each for each in values if type(each) is dict or type(each) is list]
        if not level:
            return True
    return False


def _said(text: str) -> bytes:
    return _result([{"type": "text", "text": text}])


def _result(content: list[dict[str, str]], *, structured: bytes = b"", error: bool = False) -> bytes:
    parts: Members = {"content": Raw(orjson.dumps(content))}
    parts |= {"structuredContent": Raw(structured)} if structured else {}
    parts |= {"isError": Raw(b"true")} if error else {}
    return jsonrpc.join({**parts, "resultType": Raw(b'"complete"')})
