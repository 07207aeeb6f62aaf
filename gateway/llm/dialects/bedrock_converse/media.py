"""Images and documents as Converse takes them: bytes only, a closed list of formats, documents with peculiar names."""

from __future__ import annotations

import re

from gateway.errors import BadRequest
from gateway.llm.dialects.protocol import Json

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_ILLEGAL = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]")


def image(block: Json) -> Json:
    return {"image": _made(block, _IMAGES)}


def _made(block: Json, formats: dict[str, str]) -> Json:
    source, kind = block.get("source") or {}, block["type"]
    url = str(source.get("url") or "")
    if source.get("type") == "url" and url.startswith("s3://"):
        return {"format": url.rpartition(".")[2] or "png", "source": {"s3Location": {"uri": url}}}
    if source.get("type") != "base64":
        raise BadRequest(f"{kind}: Bedrock takes the bytes themselves, not a URL or an uploaded file")
    media = str(source.get("media_type"))
    if media not in formats:
        raise BadRequest(f"{kind}: Bedrock does not take {media}")
    return {"format": formats[media], "source": {"bytes": source["data"]}}


class Documents:
    """Names the documents of one request: letters, digits, single spaces, `-()[]`; each name once."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def part(self, block: Json) -> Json:
        return {"document": {**_made(block, _DOCUMENTS), "name": self._name(str(block.get("title") or ""))}}

    def _name(self, title: str) -> str:
        plain = " ".join(_ILLEGAL.sub(" ", title).split())[:180] or "document"
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain} ({number})"
        self._taken.add(name)
        return name
