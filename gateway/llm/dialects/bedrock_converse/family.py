"""What the families of models on Bedrock take beyond what Converse has in common."""

from __future__ import annotations

from typing import Any

from gateway.llm.dialects.openai_content import effort
from gateway.llm.dialects.protocol import Json


def claude(model: str) -> bool:
    return "claude" in model


def cache_points(model: str) -> bool:
    return "claude" in model or "nova" in model


def error_status(model: str) -> bool:
    """Whether a tool result may say that it is an error."""
    return "claude" in model or "nova" in model


def fields(hub: Json, model: str, losses: list[str]) -> Json:
    """`additionalModelRequestFields`."""
    out: Json = {}
    if (top_k := hub.get("top_k")) is not None:
        out |= {"inferenceConfig": {"topK": top_k}} if "nova" in model else {"top_k": top_k}
    if "thinking" in hub or (hub.get("output_config") or {}).get("effort"):
        out |= _thinking(hub, model, losses)
    if claude(model) and hub.get("anthropic_beta"):
        out["anthropic_beta"] = hub["anthropic_beta"]
    return out


def _thinking(hub: Json, model: str, losses: list[str]) -> Json:
    if claude(model):
        return {"thinking": hub["thinking"]} if "thinking" in hub else {}
    level: Any = effort(hub, frozenset({"effort_none"}))
    if "gpt-oss" in model:
        return {"reasoning_effort": "low" if level == "none" else level} if level else {}
    if "nova-2" in model:
        if level == "none":
            return {"reasoningConfig": {"type": "disabled"}}
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level or "medium"}}
    losses.append("thinking")
    return {}
