"""Hub sources of images and documents as Gemini parts."""

from __future__ import annotations

from mimetypes import guess_type

from gateway.errors import BadRequest
from gateway.llm.dialects.content import blocks, unknown_block
from gateway.llm.dialects.gemini.models import Family
from gateway.llm.dialects.protocol import Json

# Addresses that AI Studio itself can open; Vertex opens any public one, with exceptions of its own.
_GOOGLES = ("https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/",
            "https://m.youtube.com/")  # fmt: skip
_DEFAULT = {"image": "image/jpeg", "document": "application/pdf"}


def parts_of(block: Json, family: Family) -> list[Json]:
    """The parts of an `image` or `document` block."""
    source = block.get("source") or {}
    kind = source.get("type")
    if kind == "base64":
        media = source.get("media_type") or _DEFAULT[block["type"]]
        parts: list[Json] = [{"inlineData": {"mimeType": media, "data": source.get("data", "")}}]
    elif kind == "url":
        parts = [_file(str(source.get("url", "")), block["type"], family)]
    elif kind == "text":
        parts = [{"text": source.get("data", "")}]
    elif kind == "content":
        parts = _inner(source.get("content"), family)
    else:
        raise BadRequest(f"a source of type {kind!r} in a {block['type']} block cannot be sent to Gemini")
    about = "\n".join(str(block[key]) for key in ("title", "context") if block.get(key))
    return [{"text": about}, *parts] if about else parts


def _inner(content: object, family: Family) -> list[Json]:
    parts: list[Json] = []
    for block in blocks(content):
        if block.get("type") == "text":
            parts.append({"text": block.get("text", "")})
        elif block.get("type") == "image":
            parts += parts_of(block, family)
        else:
            raise unknown_block(block, "Gemini inside a document")
    return parts


def _file(url: str, kind: str, family: Family) -> Json:
    if not (
        url.startswith("gs://") or url.startswith(_GOOGLES) or (family.vertex and url.startswith("https://"))
    ):
        raise BadRequest(f"Gemini cannot open the URL of this {kind}: send it as base64 data")
    path = url.split("?", 1)[0].split("#", 1)[0]
    return {"fileData": {"mimeType": guess_type(path)[0] or _DEFAULT[kind], "fileUri": url}}
