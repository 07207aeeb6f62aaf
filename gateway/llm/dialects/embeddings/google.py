"""Embeddings of AI Studio, and of Vertex with the quirk `vertex`: Gemini's own models there have another form than older ones."""

from __future__ import annotations

from urllib.parse import quote

from gateway.llm.dialects.embeddings.reading import answer, only, outbound
from gateway.llm.dialects.gemini import read_error
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply

__all__ = ["read_answer", "read_error", "write_request"]
_PREDICTED = "gemini-embedding-001"


def write_request(hub: Json, options: Options) -> Outbound:
    model, reply = options.model, Reply(model=options.model, prompt_estimate=options.prompt_estimate)
    body: Json
    name = quote(model, safe="")
    size = {"outputDimensionality": hub["dimensions"]} if "dimensions" in hub else {}
    if "vertex" not in options.quirks:
        asked = [{"model": f"models/{model}", "content": _content(text), **size} for text in hub["input"]]
        path, body = f"/models/{name}:batchEmbedContents", {"requests": asked}
    elif "gemini" in model and model != _PREDICTED:
        path = f"/publishers/google/models/{name}:embedContent"
        body = {"content": _content(only(hub)), **({"embedContentConfig": size} if size else {})}
    else:
        path = f"/publishers/google/models/{name}:predict"
        body = {"instances": [{"content": text} for text in hub["input"]]}
        body |= {"parameters": size} if size else {}
    return outbound(path, body, hub, reply, "dimensions")


def _content(text: str) -> Json:
    return {"parts": [{"text": text}]}


def read_answer(body: Json, reply: Reply) -> Json:
    tokens: int | None
    if "predictions" in body:
        found = [each["embeddings"] for each in body["predictions"]]
        tokens = sum(int(each["statistics"]["token_count"]) for each in found)
    else:
        found = body["embeddings"] if "embeddings" in body else [body["embedding"]]
        tokens = (body.get("usageMetadata") or {}).get("promptTokenCount")
    return answer([each["values"] for each in found], tokens, reply)
