"""From an `llm` route of the file to its LLMApp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config import expressions
from gateway.config.resources import Resources
from gateway.llm.app import LLMApp
from gateway.llm.routes import ModelRule, Target
from gateway.llm.rows import provider

Section = Mapping[str, Any]


def llm(section: Section, file: Section, resources: Resources) -> LLMApp:
    limit = (file.get("listen") or {}).get("max_body")
    return LLMApp(
        providers={name: provider(name, each) for name, each in section["providers"].items()},
        models=[_rule(each) for each in section.get("models", ())],
        client=resources.client,
        **({"limit": limit} if limit else {}),
    )


def _rule(section: Section) -> ModelRule:
    to = section["to"]
    return ModelRule(
        match=section["match"],
        to=tuple(_target(each) for each in (to if isinstance(to, list) else [to])),
        when=expressions.condition(section["when"]) if "when" in section else None,
        model=expressions.value(section["model"]) if "model" in section else None,
    )


def _target(section: str | Section) -> Target:
    if isinstance(section, str):
        return Target.parse(section)
    return Target.parse(section["provider"], weight=section.get("weight"))
