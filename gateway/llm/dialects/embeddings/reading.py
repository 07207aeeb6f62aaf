"""What providers' answers have in common: vectors, and perhaps a count."""

from __future__ import annotations

from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.protocol import Json, Outbound, Reply
from gateway.metering.usage import Usage


def outbound(path: str, body: Json, hub: Json, reply: Reply, *taken: str) -> Outbound:
    """`taken` are the hub's fields that the body has, beside the model and the texts."""
    losses = [key for key in hub if key not in ("model", "input", *taken)]
    return Outbound(path=path, body=body, reply=reply, losses=losses)


def only(hub: Json) -> str:
    """The text, for models that take one."""
    texts: list[str] = hub["input"]
    if len(texts) != 1:
        raise BadRequest("input: this model embeds one text a request")
    return texts[0]


def answer(vectors: Any, tokens: Any, reply: Reply) -> Json:
    if not isinstance(vectors, list) or not all(isinstance(each, list) for each in vectors):
        raise ValueError("no embeddings in the answer")
    known = isinstance(tokens, int)
    counted = Usage(input=tokens) if known else Usage(input=reply.prompt_estimate, estimated=True)
    return {"embeddings": vectors, "usage": figures.write(counted)}
