"""Embeddings on Bedrock: each maker's models have a form of their own, which the model's name tells."""

from __future__ import annotations

from urllib.parse import quote

from gateway.errors import BadRequest
from gateway.llm.dialects.bedrock_converse import read_error
from gateway.llm.dialects.embeddings.reading import answer, only, outbound
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply

__all__ = ["read_answer", "read_error", "write_request"]


def write_request(hub: Json, options: Options) -> Outbound:
    name = options.model
    reply = Reply(model=name, prompt_estimate=options.prompt_estimate)
    taken = ["dimensions"]
    if "cohere.embed" in name:
        body, taken = _cohere(hub), [*taken, "input_type"]
    elif "titan-embed" in name:
        body = {"inputText": only(hub), **_size(hub, "dimensions")}
    elif "nova" in name and "embed" in name:
        body = _nova(hub)
    else:
        raise BadRequest(f"model: {name} on Bedrock is not known for embeddings (Cohere, Titan and Nova are)")
    return outbound(f"/model/{quote(name, safe='')}/invoke", body, hub, reply, *taken)


def _cohere(hub: Json) -> Json:
    """It tells texts that are searched from those that search; who does not say is building an index."""
    kind = hub.get("input_type", "search_document")
    return {"texts": hub["input"], "input_type": kind, **_size(hub, "output_dimension")}


def _nova(hub: Json) -> Json:
    text = {"value": only(hub), "truncationMode": "NONE"}
    asked = {"embeddingPurpose": "GENERIC_INDEX", "text": text, **_size(hub, "embeddingDimension")}
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": asked}


def _size(hub: Json, key: str) -> Json:
    return {key: hub["dimensions"]} if "dimensions" in hub else {}


def read_answer(body: Json, reply: Reply) -> Json:
    tokens = body.get("inputTextTokenCount")
    if "embedding" in body:
        return answer([body["embedding"]], tokens, reply)
    found = body["embeddings"]
    if isinstance(found, dict):  # Cohere's by kind of number
        found = found["float"]
    return answer([each["embedding"] if isinstance(each, dict) else each for each in found], tokens, reply)
