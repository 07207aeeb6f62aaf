"""What a Gemini client asks besides the conversation: tools, choice among them, generation settings."""

from __future__ import annotations

from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects.gemini.keys import camel, many
from gateway.llm.dialects.protocol import Json

_PLAIN = {"maxOutputTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "topK": "top_k",
          "stopSequences": "stop_sequences"}  # fmt: skip
_READ = frozenset({*_PLAIN, "thinkingConfig", "responseMimeType", "responseSchema", "responseJsonSchema", "candidateCount",
                   "responseModalities"})  # fmt: skip
_EFFORT = {"MINIMAL": "low", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}


def read(body: Json, hub: Json, losses: list[str]) -> Json:
    """Fills the hub request; gives what the writer of the answer must remember."""
    wire: Json = {"thoughts": False}
    tools = [tool for given in many(body.get("tools")) for tool in _tools(camel(given))]
    if tools:
        hub["tools"] = tools
    if body.get("toolConfig"):
        _choice(camel(body["toolConfig"]), hub)
    if body.get("generationConfig"):
        config = camel(body["generationConfig"])
        _generation(config, hub, losses)
        if config.get("thinkingConfig"):
            wire["thoughts"] = _thinking(camel(config["thinkingConfig"]), hub)
    return wire


def _tools(given: Json) -> list[Json]:
    tools = [_tool(camel(each)) for each in many(given.get("functionDeclarations"))]
    if "googleSearch" in given or "googleSearchRetrieval" in given:
        tools.append({"type": "web_search_20250305", "name": "web_search"})
    for key in given.keys() - {"functionDeclarations", "googleSearch", "googleSearchRetrieval"}:
        raise BadRequest(f"the tool {key} runs on Google's servers only")
    return tools


def _tool(given: Json) -> Json:
    schema = given.get("parametersJsonSchema")
    if schema is None:
        schema = lowered(given.get("parameters") or {"type": "OBJECT", "properties": {}})
    if not isinstance(schema, dict) or schema.get("type") != "object":
        schema = {**(schema if isinstance(schema, dict) else {}), "type": "object"}
    tool = {"name": given.get("name", ""), "input_schema": schema}
    return {**tool, "description": given["description"]} if given.get("description") else tool


def lowered(schema: Any, *, closed: bool = False) -> Any:
    """Google's OpenAPI dialect as JSON Schema. `closed`: objects allow nothing else, as structured output wants."""
    if not isinstance(schema, dict):
        return schema
    given = camel(schema)
    out: Json = {key: value for key, value in given.items()
                 if key not in ("nullable", "propertyOrdering", "example", "format")}  # fmt: skip
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    for key in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"):
        if isinstance(out.get(key), str):  # protobuf writes int64 as strings
            out[key] = int(out[key])
    if isinstance(given.get("properties"), dict):
        out["properties"] = {
            name: lowered(child, closed=closed) for name, child in given["properties"].items()
        }
    if closed and out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    if "items" in given:
        out["items"] = lowered(given["items"], closed=closed)
    if isinstance(given.get("anyOf"), list):
        out["anyOf"] = [lowered(child, closed=closed) for child in given["anyOf"]]
    if given.get("nullable") and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    return out


def _choice(config: Json, hub: Json) -> None:
    calling = camel(config.get("functionCallingConfig") or {})
    mode = str(calling.get("mode") or "AUTO").upper()
    allowed = many(calling.get("allowedFunctionNames"))
    if not hub.get("tools"):
        return
    if mode == "NONE":
        hub["tool_choice"] = {"type": "none"}
    elif mode == "ANY" and len(allowed) == 1:
        hub["tool_choice"] = {"type": "tool", "name": allowed[0]}
    elif mode == "ANY":
        hub["tool_choice"] = {"type": "any"}
        if allowed:
            hub["tools"] = [tool for tool in hub["tools"] if tool["name"] in allowed]


def _generation(config: Json, hub: Json, losses: list[str]) -> None:
    if config.get("candidateCount", 1) != 1:
        raise BadRequest("generationConfig.candidateCount: one answer at a time")
    if any(
        str(each).upper() not in ("TEXT", "MODALITY_UNSPECIFIED")
        for each in many(config.get("responseModalities"))
    ):
        raise BadRequest(
            "generationConfig.responseModalities: only text can be had from another provider's model"
        )
    hub.update({name: config[key] for key, name in _PLAIN.items() if config.get(key) is not None})
    if isinstance(hub.get("top_k"), float):
        hub["top_k"] = int(hub["top_k"])
    if str(config.get("responseMimeType", "")) == "application/json":
        _format(config, hub, losses)
    losses += [f"generationConfig.{key}" for key in config if key not in _READ]


def _format(config: Json, hub: Json, losses: list[str]) -> None:
    schema = config.get("responseJsonSchema")
    if schema is None and config.get("responseSchema") is not None:
        schema = lowered(config["responseSchema"], closed=True)
    if schema is None:
        losses.append("generationConfig.responseMimeType (without a schema)")
    else:
        hub["output_config"] = {
            **(hub.get("output_config") or {}),
            "format": {"type": "json_schema", "schema": schema},
        }


def _thinking(config: Json, hub: Json) -> bool:
    """Sets the hub's thinking; True where the client wants to see it."""
    shown = bool(config.get("includeThoughts"))
    budget, level = config.get("thinkingBudget"), str(config.get("thinkingLevel") or "").upper()
    display = "summarized" if shown else "omitted"
    if budget == 0:
        hub["thinking"] = {"type": "disabled"}
    elif budget is not None and budget > 0:
        hub["thinking"] = {"type": "enabled", "budget_tokens": budget, "display": display}
    elif shown or level or budget is not None:
        hub["thinking"] = {"type": "adaptive", "display": display}
    if level in _EFFORT:
        hub["output_config"] = {**(hub.get("output_config") or {}), "effort": _EFFORT[level]}
    return shown
