"""Chat completion request -> hub request."""

from __future__ import annotations

from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects import carried
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.openai_content import document_of, function_of, parts_of, source_of, thinking_of
from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Json, Request, Target

_CARRIED = {
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens", "stop",
    "temperature", "top_p", "stream", "stream_options", "reasoning_effort", "response_format", "user",
    "safety_identifier", "web_search_options", "n", "store",
}  # fmt: skip
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
WEB_SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
TEXT_INPUT: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


@shaped("OpenAI chat")
def read_request(body: Json, target: Target) -> Request:
    if "messages" not in body and "input" in body:
        return _in_words_of_responses(body, target)
    if (body.get("n") or 1) != 1:
        raise BadRequest("n: only one choice can be translated")
    if "functions" in body or "function_call" in body:
        raise BadRequest("functions and function_call are deprecated and cannot be translated: use tools")
    losses = [key for key, value in body.items() if key not in _CARRIED and value is not None]
    hub: Json = {"model": body.get("model") or target.model}
    hub["messages"] = _messages(body.get("messages"), hub)
    hub |= _limits(body)
    hub |= _settings(body, losses)
    custom = _tools(body, hub)
    stream = bool(body.get("stream"))
    return Request(
        hub=hub,
        model=hub["model"],
        stream=stream,
        count=target.count,
        losses=losses,
        wire=_wire(body, custom),
    )


def _in_words_of_responses(body: Json, target: Target) -> Request:
    """As Cursor's agent asks; it wants chat's answers all the same."""
    from gateway.llm.dialects import openai_responses  # which stands on this module

    request = openai_responses.read_request(body, target)
    kinds: Json = request.wire["kinds"]
    custom = [name for name, kind in kinds.items() if kind["type"] == "custom"]
    request.wire = _wire(body, custom)
    return request


def _wire(body: Json, custom: list[str]) -> Json:
    options = body.get("stream_options") or {}
    return {"include_usage": bool(options.get("include_usage")), "custom": custom}


def _limits(body: Json) -> Json:
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    out: Json = {"max_tokens": most} if most else {}
    out |= {key: body[key] for key in ("temperature", "top_p") if body.get(key) is not None}
    if stop := body.get("stop"):
        out["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return out


def _settings(body: Json, losses: list[str]) -> Json:
    out = thinking_of(body.get("reasoning_effort"))
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        out["output_config"] = {
            **out.get("output_config", {}),
            "format": {"type": "json_schema", "schema": schema},
        }
    elif wanted.get("type") == "json_object":
        losses.append("response_format")
    if user := body.get("safety_identifier") or body.get("user"):
        out["metadata"] = {"user_id": user}
    return out


def _tools(body: Json, hub: Json) -> list[str]:
    """Sets the hub's tools; the names of those whose input is free text."""
    tools, custom = [], []
    for tool in body.get("tools") or ():
        if tool.get("type", "function") == "function":
            function = tool.get("function") or tool
            tools.append(function_of(function, function.get("name") or ""))
        elif tool.get("type") == "custom":
            made = _custom(tool.get("custom") or tool)
            tools.append(made)
            custom.append(made["name"])
        else:
            raise BadRequest(f"tools: the type {tool.get('type')!r} cannot be translated")
    if body.get("web_search_options") is not None:
        tools.append(WEB_SEARCH)
    if tools:
        hub["tools"] = tools
        choice = _choice(body.get("tool_choice"))
        if body.get("parallel_tool_calls") is False and choice.get("type") != "none":
            choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
        hub |= {"tool_choice": choice} if choice else {}
    return custom


def _custom(tool: Json) -> Json:
    grammar = (tool.get("format") or {}).get("grammar") or tool.get("format") or {}
    return custom_tool(tool.get("name") or "", tool.get("description") or "", grammar)


def custom_tool(name: str, description: str, grammar: Json) -> Json:
    """A tool whose input is free text, as one with a single text property; a grammar becomes part of what it says."""
    if grammar.get("definition"):
        description += (
            f"\n\nThe input follows this {grammar.get('syntax', '')} grammar:\n{grammar['definition']}"
        )
    return {"name": name, "description": description.strip() or name, "input_schema": TEXT_INPUT}


def _choice(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, str):
        return {"type": _CHOICES.get(choice, "auto")}
    if choice.get("type") == "allowed_tools":
        return _choice((choice.get("allowed_tools") or {}).get("mode"))
    named = choice.get("function") or choice.get("custom") or {}
    return {"type": "tool", "name": named.get("name")}


def _messages(messages: Any, hub: Json) -> list[Json]:
    if not isinstance(messages, list):
        raise BadRequest("messages: a list is needed")
    out: list[Json] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            _system(message, out, hub)
        elif role == "user":
            _add(out, "user", parts_of(message.get("content"), _part))
        elif role == "assistant":
            _add(out, "assistant", _assistant(message))
        elif role == "tool":
            _add(out, "user", [_result(message)])
        else:
            raise BadRequest(f"messages: the role {role!r} cannot be translated")
    return out


def _system(message: Json, out: list[Json], hub: Json) -> None:
    """Before the first turn it is the system prompt; later it stays where it stands."""
    content = parts_of(message.get("content"), _part)
    if out:
        out.append({"role": "system", "content": content})
    else:
        hub["system"] = [*hub.get("system", []), *content]


def _add(out: list[Json], role: str, content: list[Json]) -> None:
    if out and out[-1]["role"] == role:
        out[-1]["content"].extend(content)
    elif content:
        out.append({"role": role, "content": content})


def _assistant(message: Json) -> list[Json]:
    content = parts_of(message.get("content"), _part)
    if message.get("refusal"):
        content.append({"type": "text", "text": message["refusal"]})
    for call in message.get("tool_calls") or ():
        carried.restore(content, signature_of(call))
        content.append(_call(call))
    return content


def signature_of(call: Json) -> str:
    """What Google's OpenAI-compatible API puts on a call and wants back."""
    google = (call.get("extra_content") or {}).get("google") or {}
    return str(google.get("thought_signature") or "")


def _call(call: Json) -> Json:
    if call.get("type") == "custom":
        custom = call.get("custom") or {}
        name, given = custom.get("name"), {"input": custom.get("input") or ""}
    else:
        function = call.get("function") or {}
        name, given = function.get("name"), arguments(function.get("arguments"))
    return {"type": "tool_use", "id": call.get("id"), "name": name, "input": given}


def arguments(text: str | None) -> Json:
    """Tool input of its JSON text; what a broken one held is kept as far as it is whole."""
    value = parse(text or "")
    return value if isinstance(value, dict) else {"input": value}


def _result(message: Json) -> Json:
    content = message.get("content")
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
        "content": content if isinstance(content, str) else parts_of(content, _part),
    }


def _part(part: Json) -> Json | None:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part["text"]} if part.get("text") else None
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "image_url":
        url = part.get("image_url") or {}
        return {"type": "image", "source": source_of(url if isinstance(url, str) else url.get("url") or "")}
    if kind == "file":
        return document_of(part.get("file") or {})
    raise BadRequest(f"messages: a content part of type {kind!r} cannot be translated")
