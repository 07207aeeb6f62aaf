"""OpenAI's embeddings towards providers that have a form of their own.

The hub's request is `{model, input: [text], dimensions?, input_type?}`, its answer `{embeddings: [[number]], usage}`. A provider's
module has `write_request`, `read_answer` and `read_error`, as a dialect has.
"""

from __future__ import annotations

from base64 import b64encode
from importlib import import_module
from struct import pack
from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.protocol import Json, Request, Target

_MODULES = {"gemini": "google", "bedrock-converse": "bedrock"}
_CARRIED = {"model", "input", "dimensions", "encoding_format", "input_type"}


def provider(dialect: str) -> Any:
    """The module for providers that speak this dialect otherwise."""
    if dialect not in _MODULES:
        raise BadRequest(f"model: its provider speaks {dialect}, which has no embeddings")
    return import_module(f"{__name__}.{_MODULES[dialect]}")


@shaped("OpenAI embeddings")
def read_request(body: Json, target: Target) -> Request:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest("input: a text or a list of texts is needed; tokens cannot be translated")
    hub: Json = {"model": body.get("model") or target.model, "input": texts}
    hub |= {key: body[key] for key in ("dimensions", "input_type") if body.get(key) is not None}
    losses = [key for key, value in body.items() if key not in _CARRIED and value is not None]
    wire = {"base64": body.get("encoding_format") == "base64"}
    return Request(hub=hub, model=hub["model"], losses=losses, wire=wire)


def write_answer(message: Json, request: Request) -> Json:
    counted = figures.read(message.get("usage"))
    tokens = counted.input if counted else 0
    return {
        "object": "list",
        "model": request.model,
        "data": [
            {
                "object": "embedding",
                "index": at,
                "embedding": _coded(each) if request.wire["base64"] else each,
            }
            for at, each in enumerate(message["embeddings"])
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _coded(vector: list[float]) -> str:
    """As the official SDK asks for them: 32-bit numbers, the lowest byte first."""
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()
