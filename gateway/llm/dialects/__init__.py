"""Wire formats of models. `protocol` has the contract; `dialect(name)` gives a module that keeps it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from gateway.llm.dialects.protocol import Dialect

MODULES = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "bedrock": "bedrock",  # Claude by InvokeModel
    "bedrock-converse": "bedrock_converse",
    "vertex": "vertex",  # Claude by rawPredict; Gemini on Vertex is `gemini` with the quirk `vertex`
}


@cache
def dialect(name: str) -> Dialect:
    return cast(Dialect, import_module(f"{__name__}.{MODULES[name]}"))
