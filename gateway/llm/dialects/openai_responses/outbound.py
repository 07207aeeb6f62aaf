"""Hub request -> Responses request."""

from __future__ import annotations

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import served
from gateway.llm.dialects.content import shaped, system_of, text_of, unknown_block
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.offered import offered
from gateway.llm.dialects.openai_content import (
    choice_of,
    data_url,
    effort,
    identity,
    parameters,
    shown_text,
    strictable,
)
from gateway.llm.dialects.openai_responses.reasoning import item_of
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply
from gateway.llm.dialects.turns import system_text, turns

_WHERE = "OpenAI Responses"
_CARRIED = {
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stream", "thinking",
    "output_config", "metadata",
}  # fmt: skip
_SHORTEST = 16  # tokens: fewer are refused


@shaped("Messages")
def write_request(hub: Json, options: Options) -> Outbound:
    names = Names()
    losses = [key for key in hub if key not in _CARRIED]
    body: Json = {"model": options.model, "input": _input(hub, names)}
    if system := text_of(system_of(hub), "\n\n"):
        body["instructions"] = system
    body |= _tools(hub, names, losses)
    body |= _format(hub)
    body |= _thinking(hub, options.quirks)
    if not options.count:
        body |= _generation(hub, options, losses)
    reply = Reply(model=options.model, names=names.back, prompt_estimate=options.prompt_estimate)
    path = "/responses/input_tokens" if options.count else "/responses"
    return Outbound(path=path, body=body, reply=reply, losses=losses)


def _generation(hub: Json, options: Options, losses: list[str]) -> Json:
    out: Json = {"store": False}
    if hub.get("max_tokens") is not None:
        out["max_output_tokens"] = max(_SHORTEST, hub["max_tokens"])
    included = ["reasoning.encrypted_content"] if "reasoning" in options.quirks else []
    if any(_is_search(tool) for tool in hub.get("tools") or ()):
        included.append("web_search_call.action.sources")
    if included:
        out["include"] = included
    if "reasoning" in options.quirks:
        losses += [key for key in ("temperature", "top_p") if key in hub]
    else:
        out |= {key: hub[key] for key in ("temperature", "top_p") if hub.get(key) is not None}
    if "identity" in options.quirks and (user := identity(hub)):
        out |= {"safety_identifier": user, "prompt_cache_key": user}
    if options.stream:
        out["stream"] = True
    return out


def _thinking(hub: Json, quirks: frozenset[str]) -> Json:
    if "reasoning" not in quirks:
        return {}
    level = effort(hub, quirks)
    thinking = hub.get("thinking") or {}
    made: Json = {"effort": level} if level else {}
    if thinking.get("type") in ("enabled", "adaptive") and thinking.get("display") != "omitted":
        made["summary"] = "auto"
    return {"reasoning": made} if made else {}


def _format(hub: Json) -> Json:
    wanted = (hub.get("output_config") or {}).get("format")
    if not wanted:
        return {}
    schema = wanted.get("schema") or {}
    made = {"type": "json_schema", "name": "answer", "schema": schema, "strict": strictable(schema)}
    return {"text": {"format": made}}


def _is_search(tool: Json) -> bool:
    return str(tool.get("type")).startswith("web_search_")


def _tools(hub: Json, names: Names, losses: list[str]) -> Json:
    if hub.get("mcp_servers") or hub.get("container"):
        raise BadRequest("mcp_servers and container work with Anthropic's own API only")
    tools = [made for tool in offered(hub) if (made := _tool(tool, names, losses))]
    if not tools:
        return {}
    return {"tools": tools, **choice_of(hub, lambda name: {"type": "function", "name": names.send(name)})}


def _tool(tool: Json, names: Names, losses: list[str]) -> Json | None:
    kind = str(tool.get("type") or "custom")
    if kind.startswith("tool_search_tool"):  # every tool is sent, so there is nothing to search
        losses.append("defer_loading")
        return None
    if _is_search(tool):
        return _search(tool, losses)
    if kind != "custom":
        raise BadRequest(f"the tool {kind!r} works with Anthropic's own API only")
    schema = parameters(tool.get("input_schema"))
    made: Json = {"type": "function", "name": names.send(tool["name"]), "parameters": schema}
    made["strict"] = bool(tool.get("strict")) and strictable(schema)  # left out, it would mean true
    if tool.get("description"):
        made["description"] = tool["description"]
    return made


def _search(tool: Json, losses: list[str]) -> Json:
    losses += [f"web_search.{key}" for key in ("max_uses", "blocked_domains") if tool.get(key)]
    made: Json = {"type": "web_search"}
    if tool.get("allowed_domains"):
        made["filters"] = {"allowed_domains": tool["allowed_domains"]}
    if tool.get("user_location"):
        made["user_location"] = tool["user_location"]
    return made


def _input(hub: Json, names: Names) -> list[Json]:
    out: list[Json] = []
    for turn in turns(hub.get("messages") or ()):
        if turn["role"] == "assistant":
            _assistant(turn["content"], out, names)
        elif turn["role"] == "user":
            _user(turn["content"], out)
        elif text := system_text(turn["content"], _WHERE):
            out.append(_message("developer", [{"type": "input_text", "text": text}]))
    return out


def _message(role: str, content: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": content}


def _assistant(content: list[Json], out: list[Json], names: Names) -> None:
    """Reasoning stands directly before the item that it led to; without one it is refused, and so left out."""
    reasoning: Json | None = None
    for block in content:
        kind = block.get("type")
        if kind in ("thinking", "redacted_thinking"):
            reasoning = item_of(block) or reasoning
            continue
        item = _item(block, names)
        if item is not None:
            out += [reasoning, item] if reasoning else [item]
            reasoning = None


def _item(block: Json, names: Names) -> Json | None:
    kind = block.get("type")
    if kind == "text":
        return _message("assistant", [{"type": "output_text", "text": block["text"]}])
    if kind == "tool_use":
        arguments = orjson.dumps(block.get("input") or {}).decode()
        name = names.send(block["name"])
        return {"type": "function_call", "call_id": block["id"], "name": name, "arguments": arguments}
    if (text := served.text_of(block)) is not None:
        return _message("assistant", [{"type": "output_text", "text": text}]) if text else None
    raise unknown_block(block, _WHERE)


def _user(content: list[Json], out: list[Json]) -> None:
    parts = []
    for block in content:
        if block.get("type") == "tool_result":
            out.append(
                {"type": "function_call_output", "call_id": block["tool_use_id"], "output": _output(block)}
            )
        else:
            parts.append(_part(block))
    if parts:
        out.append(_message("user", parts))


def _output(block: Json) -> str | list[Json]:
    prefix = "Error: " if block.get("is_error") else ""
    content = block.get("content")
    if content is None or isinstance(content, str):
        return prefix + (content or "")
    parts = [_part(part) for part in content]
    if all(part["type"] == "input_text" for part in parts):
        return prefix + "\n".join(part["text"] for part in parts)
    return [{"type": "input_text", "text": prefix.strip()}, *parts] if prefix else parts


def _part(block: Json) -> Json:
    if (text := shown_text(block)) is not None:
        return {"type": "input_text", "text": text}
    if block.get("type") == "image":
        return {"type": "input_image", "image_url": data_url(block["source"], "image")}
    if block.get("type") == "document":
        return _document(block)
    raise unknown_block(block, _WHERE)


def _document(block: Json) -> Json:
    source = block.get("source") or {}
    if source.get("type") == "url":
        return {"type": "input_file", "file_url": source["url"]}
    name = block.get("title") or "document.pdf"
    return {"type": "input_file", "filename": name, "file_data": data_url(source, "document")}
