"""Which wire a path speaks. The one table of the model APIs' paths, whatever stands before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

from msgspec import Struct

from gateway.types import Dialect


class Endpoint(Struct, frozen=True):
    """`prefix` is what stands before the API's own path: the route, when the request is for one."""

    prefix: str
    dialect: Dialect
    method: str  # an Operation's method; `models` is a list, `model` one entry of it
    model: str = ""  # where the path names it
    stream: bool = False  # where the path says so
    tail: str = ""  # the API's own path


_FIXED: dict[str, tuple[Dialect, str]] = {
    "/v1/messages": ("anthropic", "messages"),
    "/v1/messages/count_tokens": ("anthropic", "count_tokens"),
    "/v1/chat/completions": ("openai-chat", "chat"),
    "/v1/responses": ("openai-responses", "responses"),
    "/v1/responses/input_tokens": ("openai-responses", "count_tokens"),
    "/v1/embeddings": ("openai-chat", "embeddings"),
    "/v1/models": ("openai-chat", "models"),
    "/v1beta/models": ("gemini", "models"),
}

_GEMINI = {
    "generateContent": ("generate", False),
    "streamGenerateContent": ("generate", True),
    "countTokens": ("count_tokens", False),
    "embedContent": ("embeddings", False),
    "batchEmbedContents": ("embeddings", False),
}
_VERTEX = {"rawPredict": ("messages", False), "streamRawPredict": ("messages", True)}
_BEDROCK = {
    "invoke": ("messages", False),
    "invoke-with-response-stream": ("messages", True),
    "converse": ("converse", False),
    "converse-stream": ("converse", True),
    "count-tokens": ("count_tokens", False),
}

_TAIL = re.compile(r"^(.*?)(/v1/messages(?:/count_tokens)?|/v1/chat/completions|/v1/responses(?:/input_tokens)?"
                   r"|/v1/embeddings|/v1(?:beta)?/models)$")  # fmt: skip
_VERTEX_PATH = re.compile(
    r"^(.*?)((?:/v1(?:beta1)?)?/projects/[^/]+/locations/[^/]+/publishers/(anthropic|google)/models/([^/:]+):([A-Za-z]+))$"
)
_GEMINI_PATH = re.compile(r"^(.*?)(/v1(?:beta|alpha)?/models/([^/:]+):([A-Za-z]+))$")
_BEDROCK_PATH = re.compile(r"^(.*?)(/model/([^/]+)/(" + "|".join(_BEDROCK) + "))$")
_MODEL_PATH = re.compile(r"^(.*?)(/v1(beta)?/models/([^:]+))$")


@lru_cache(4096)
def _locate(path: str) -> Endpoint | None:
    if found := _TAIL.match(path):
        dialect, method = _FIXED[found[2]]
        return Endpoint(found[1], dialect, method, tail=found[2])
    if found := _VERTEX_PATH.match(path):
        return _vertex(found)
    if (found := _GEMINI_PATH.match(path)) and found[4] in _GEMINI:
        method, stream = _GEMINI[found[4]]
        return Endpoint(found[1], "gemini", method, found[3], stream, found[2])
    if found := _BEDROCK_PATH.match(path):
        method, stream = _BEDROCK[found[4]]
        return Endpoint(found[1], "bedrock", method, unquote(found[3]), stream, found[2])
    if found := _MODEL_PATH.match(path):
        return Endpoint(found[1], "gemini" if found[3] else "openai-chat", "model", found[4], tail=found[2])
    return None


def _vertex(found: re.Match[str]) -> Endpoint | None:
    prefix, tail, publisher, model, verb = found.groups()
    if publisher == "anthropic" and verb in _VERTEX:
        method, stream = _VERTEX[verb]
        if model == "count-tokens":
            return Endpoint(prefix, "vertex", "count_tokens", tail=tail)
        return Endpoint(prefix, "vertex", method, unquote(model), stream, tail)
    if publisher == "google" and verb in _GEMINI:
        method, stream = _GEMINI[verb]
        return Endpoint(prefix, "gemini", method, unquote(model), stream, tail)
    return None


def match(path: str, headers: Mapping[str, str]) -> Endpoint | None:
    """The endpoint of this path, None where it is no model API's. Three clients ask for `/v1/models` alike: their
    headers tell them apart."""
    found = _locate(path)
    if found is None or found.method not in ("models", "model") or found.dialect == "gemini":
        return found
    if "anthropic-version" in headers:
        return Endpoint(found.prefix, "anthropic", found.method, found.model, tail=found.tail)
    if "x-goog-api-key" in headers:
        return Endpoint(found.prefix, "gemini", found.method, found.model, tail=found.tail)
    return found
