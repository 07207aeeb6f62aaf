"""Hub request -> chat completion request."""

from __future__ import annotations

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import served
from gateway.llm.dialects.content import shaped, system_of, text_of, unknown_block
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.offered import plain_tools, search_is_optional
from gateway.llm.dialects.openai_chat.details import items_of
from gateway.llm.dialects.openai_chat.ids import call_id
from gateway.llm.dialects.openai_content import (
    choice_of,
    data_url,
    effort,
    identity,
    parameters,
    shown_text,
    strictable,
)
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply
from gateway.llm.dialects.turns import system_text, turns

_WHERE = "OpenAI chat"
_CARRIED = {
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop_sequences",
    "stream", "thinking", "output_config", "metadata",
}  # fmt: skip


@shaped("Messages")
def write_request(hub: Json, options: Options) -> Outbound:
    names = Names()
    losses = [key for key in hub if key not in _CARRIED]
    body: Json = {"model": options.model, "messages": _messages(hub, names, options.quirks)}
    body |= _tools(hub, names, search_is_optional(hub, options.quirks), losses)
    body |= _limits(hub, options, losses)
    body |= _format(hub, options.quirks, losses)
    if "identity" in options.quirks and (user := identity(hub)):
        body |= {"safety_identifier": user, "prompt_cache_key": user}
    if options.stream:
        body["stream"] = True
        if "no_stream_options" not in options.quirks:
            body["stream_options"] = {"include_usage": True}
    reply = Reply(model=options.model, names=names.back, prompt_estimate=options.prompt_estimate)
    return Outbound(path="/chat/completions", body=body, reply=reply, losses=losses)


def _limits(hub: Json, options: Options, losses: list[str]) -> Json:
    out: Json = {}
    if (most := hub.get("max_tokens")) is not None:
        out["max_tokens" if "max_tokens" in options.quirks else "max_completion_tokens"] = most
    level = effort(hub, options.quirks)
    if "reasoning_details" in options.quirks:
        out |= _reasoning(hub, level)
        out |= {key: hub[key] for key in ("temperature", "top_p") if hub.get(key) is not None}
    elif "reasoning" in options.quirks:
        out |= {"reasoning_effort": level} if level else {}
        losses += [key for key in ("temperature", "top_p") if key in hub]
    else:
        losses += ["thinking"] if level and (hub.get("thinking") or {}).get("type") != "disabled" else []
        out |= {key: hub[key] for key in ("temperature", "top_p") if hub.get(key) is not None}
    if "top_k" in options.quirks and hub.get("top_k") is not None:
        out["top_k"] = hub["top_k"]
        losses.remove("top_k")
    if stops := hub.get("stop_sequences"):
        out["stop"] = stops[:4]
        losses += ["stop_sequences"] if len(stops) > 4 else []
    return out


def _reasoning(hub: Json, level: str | None) -> Json:
    """OpenRouter's one word for the thinking of all of its models."""
    thinking = hub.get("thinking") or {}
    if thinking.get("type") == "disabled":
        return {"reasoning": {"effort": "none"}}
    if thinking.get("type") == "enabled" and thinking.get("budget_tokens"):
        return {"reasoning": {"max_tokens": thinking["budget_tokens"]}}
    if level:
        return {"reasoning": {"effort": level}}
    return {"reasoning": {"enabled": True}} if thinking else {}


def _format(hub: Json, quirks: frozenset[str], losses: list[str]) -> Json:
    wanted = (hub.get("output_config") or {}).get("format")
    if not wanted:
        return {}
    if "json_object" in quirks:
        losses.append("output_config.format")
        return {"response_format": {"type": "json_object"}}
    schema = wanted.get("schema") or {}
    named = {"name": "answer", "schema": schema, "strict": strictable(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _tools(hub: Json, names: Names, optional: bool, losses: list[str]) -> Json:
    tools = [_tool(tool, names) for tool in plain_tools(hub, optional=optional, losses=losses)]
    if hub.get("mcp_servers") or hub.get("container"):
        raise BadRequest("mcp_servers and container work with Anthropic's own API only")
    if not tools:
        return {}
    return {
        "tools": tools,
        **choice_of(hub, lambda name: {"type": "function", "function": {"name": names.send(name)}}),
    }


def _tool(tool: Json, names: Names) -> Json:
    function: Json = {"name": names.send(tool["name"]), "parameters": parameters(tool.get("input_schema"))}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") and strictable(function["parameters"]):
        function["strict"] = True
    return {"type": "function", "function": function}


def _messages(hub: Json, names: Names, quirks: frozenset[str]) -> list[Json]:
    out: list[Json] = []
    if system := text_of(system_of(hub), "\n\n"):
        out.append({"role": "system", "content": system})
    later = "system" if "no_developer" in quirks else "developer"
    for turn in turns(hub.get("messages") or ()):
        if turn["role"] == "assistant":
            out.append(_assistant(turn["content"], names, quirks))
        elif turn["role"] == "user":
            _user(turn["content"], out, quirks)
        elif text := system_text(turn["content"], _WHERE):
            out.append({"role": later, "content": text})
    return out


def _assistant(content: list[Json], names: Names, quirks: frozenset[str]) -> Json:
    texts, calls, thoughts = [], [], []
    details = [item for block in content for item in items_of(block)]
    for block in content:
        kind = block.get("type")
        if kind == "text":
            texts.append(block["text"])
        elif kind == "tool_use":
            arguments = orjson.dumps(block.get("input") or {}).decode()
            function = {"name": names.send(block["name"]), "arguments": arguments}
            calls.append({"id": call_id(block["id"], quirks), "type": "function", "function": function})
        elif kind == "thinking":
            thoughts.append(block["thinking"])
        elif (text := served.text_of(block)) is not None:
            texts += [text + "\n"] if text else []
        elif kind != "redacted_thinking":
            raise unknown_block(block, _WHERE)
    message: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if calls:
        message["tool_calls"] = calls
    if details and "reasoning_details" in quirks:
        message["reasoning_details"] = details
    if thoughts and "replay_reasoning" in quirks:
        message["reasoning_content"] = "\n".join(thoughts)
    return message


def _user(content: list[Json], out: list[Json], quirks: frozenset[str]) -> None:
    """Tool messages stand straight after their calls; what they show follows in a user message, then the user's own."""
    parts: list[Json] = []
    for block in content:
        if block.get("type") == "tool_result":
            out.append(_result(block, parts, quirks))
        else:
            parts.append(_part(block))
    if len(parts) == 1 and parts[0]["type"] == "text":
        out.append({"role": "user", "content": parts[0]["text"]})
    elif parts:
        out.append({"role": "user", "content": parts})


def _result(block: Json, parts: list[Json], quirks: frozenset[str]) -> Json:
    content = block.get("content")
    texts, media = [], []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
        made = _part(part)
        if made["type"] == "text":
            texts.append(made["text"])
        else:
            media.append(made)
    ident = call_id(block["tool_use_id"], quirks)
    if media:
        parts += [{"type": "text", "text": f"From the result of the tool call {ident}:"}, *media]
        texts = texts or ["See the next user message."]
    text = "\n".join(texts)
    return {
        "role": "tool",
        "tool_call_id": ident,
        "content": f"Error: {text}" if block.get("is_error") else text,
    }


def _part(block: Json) -> Json:
    if (text := shown_text(block)) is not None:
        return {"type": "text", "text": text}
    if block.get("type") == "image":
        return {"type": "image_url", "image_url": {"url": data_url(block["source"], "image")}}
    if block.get("type") == "document":
        return _document(block)
    raise unknown_block(block, _WHERE)


def _document(block: Json) -> Json:
    source = block.get("source") or {}
    if source.get("type") != "base64":
        raise BadRequest("document: this provider takes the file itself, not a URL or an uploaded file")
    name = block.get("title") or "document.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(source, "document")}}
