"""Everything of a Gemini request but the conversation: tools, how to choose among them, and how to generate."""

from __future__ import annotations

from gateway.errors import BadRequest
from gateway.llm.dialects import schema
from gateway.llm.dialects.gemini.models import Family
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.offered import offered, search_is_optional
from gateway.llm.dialects.protocol import Json

_LEVELS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BUDGETS = {"low": 1_024, "medium": 8_192}  # Google's own figures for reasoning effort on 2.5
_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}


class Settings:
    """Writes `tools`, `toolConfig` and `generationConfig`; `losses` names what Gemini has no word for."""

    def __init__(self, hub: Json, family: Family, names: Names, quirks: frozenset[str]) -> None:
        self._hub = hub
        self._family = family
        self._names = names
        self._quirks = quirks
        self.losses: dict[str, None] = {}

    def tools(self) -> list[Json]:
        declared: list[Json] = []
        search = False
        for tool in offered(self._hub):
            kind = tool.get("type") or "custom"
            if kind == "custom":
                declared.append(self._declaration(tool))
            elif kind.startswith("web_search_"):
                search = True
            elif kind.startswith("tool_search_tool"):
                self.losses["tools.tool_search"] = None
            else:
                raise BadRequest(f"a tool of type {kind!r} cannot be sent to Gemini")
        if search and declared:
            if not search_is_optional(self._hub, self._quirks):
                raise BadRequest("Gemini cannot search the web and offer tools in the same request")
            self.losses["tools.web_search"] = None
            search = False
        return [{"functionDeclarations": declared}] if declared else [{"googleSearch": {}}] if search else []

    def tool_config(self) -> Json | None:
        choice = self._hub.get("tool_choice") or {}
        kind = choice.get("type")
        if kind not in ("any", "none", "tool"):
            return None
        mode: Json = {"mode": "NONE" if kind == "none" else "ANY"}
        if kind == "tool":
            mode["allowedFunctionNames"] = [self._names.send(str(choice.get("name", "")))]
        return {"functionCallingConfig": mode}

    def generation(self, max_output: int) -> Json:
        config: Json = {
            name: self._hub[key] for key, name in _SAMPLING.items() if self._hub.get(key) is not None
        }
        stops = self._hub.get("stop_sequences") or []
        if stops:
            config["stopSequences"] = stops[:5]
            if len(stops) > 5:
                self.losses["stop_sequences (after the fifth)"] = None
        thinking = self.thinking()
        if thinking:
            config["thinkingConfig"] = thinking
        asked = self._hub.get("max_tokens") or max_output
        config["maxOutputTokens"] = min(self._family.output_limit, asked + self._headroom(asked, thinking))
        self._format(config)
        return config

    def thinking(self) -> Json | None:
        """`thinkingConfig`, or None to leave it to the model."""
        thinking = self._hub.get("thinking") or {}
        kind = thinking.get("type")
        effort = (self._hub.get("output_config") or {}).get("effort")
        if not self._family.thinks or (kind not in ("enabled", "adaptive", "disabled") and not effort):
            return None
        if kind == "disabled":
            return self._least()
        budget = thinking.get("budget_tokens") if kind == "enabled" else None
        config: Json = {"includeThoughts": kind is not None and thinking.get("display") != "omitted"}
        if self._family.levels:
            config["thinkingLevel"] = self._level(budget, effort)
        else:
            config["thinkingBudget"] = self._budget(budget, effort)
        return config

    def _level(self, budget: int | None, effort: str | None) -> str:
        if budget and not effort:
            level = "high" if budget >= 4_096 else "medium" if budget >= 2_048 else "low"
        else:
            level = _LEVELS.get(effort or "high", "high")
        # The first Gemini 3 Pro knows only low and high.
        return (
            "high"
            if level == "medium" and self._family.generation == 3.0 and not self._family.flash
            else level
        )

    def _budget(self, budget: int | None, effort: str | None) -> int:
        if budget:
            return max(128, min(budget, 24_576 if self._family.flash else 32_768))
        return _BUDGETS.get(effort or "high", -1)

    def _least(self) -> Json:
        """Thinking as near to off as the model allows."""
        if self._family.levels:
            return {"thinkingLevel": "minimal" if self._family.flash else "low"}
        return {"thinkingBudget": 0 if self._family.flash else 128}

    def _headroom(self, asked: int, thinking: Json | None) -> int:
        """Thoughts count against the maximum: a small one would leave nothing for the answer."""
        config = thinking or {}
        if not self._family.thinks or config.get("thinkingBudget") == 0 or asked >= 8_192:
            return 0
        budget = config.get("thinkingBudget", -1)
        if budget > 0:
            return 0 if self._hub.get("thinking", {}).get("budget_tokens") else int(budget)
        return 1_024 if config.get("thinkingLevel") == "minimal" else 8_192

    def _format(self, config: Json) -> None:
        form = (self._hub.get("output_config") or {}).get("format") or self._hub.get("output_format") or {}
        if form.get("type") != "json_schema":
            return
        if self._hub.get("tools") and not self._family.levels:
            self.losses["output_config.format (beside tools)"] = None
            return
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = schema.clean(form.get("schema") or {})

    def _declaration(self, tool: Json) -> Json:
        declared: Json = {
            "name": self._names.send(str(tool.get("name", ""))),
            "description": tool.get("description") or "",
        }
        wanted = tool.get("input_schema") or {}
        if wanted.get("properties") or "$ref" in wanted or "anyOf" in wanted or "allOf" in wanted:
            if "legacy_schema" in self._quirks:
                declared["parameters"] = schema.openapi(wanted)
            else:
                declared["parametersJsonSchema"] = schema.clean(wanted)
        return declared
