"""OpenAI's list of models, and its count of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.llm.dialects.protocol import Json, Model


def write_models(models: Sequence[Model]) -> Json:
    return {"object": "list", "data": [write_model(model) for model in models]}


def write_model(model: Model) -> Json:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner or "gateway"}


def read_count(body: Json) -> int:
    return int(body["input_tokens"])


def write_count(tokens: int) -> Json:
    return {"object": "response.input_tokens", "input_tokens": tokens}
