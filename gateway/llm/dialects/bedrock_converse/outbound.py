"""Hub request -> Converse request."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import blake2b
from urllib.parse import quote

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import served
from gateway.llm.dialects.bedrock import path as invoke_path
from gateway.llm.dialects.bedrock_converse import family
from gateway.llm.dialects.bedrock_converse.media import Documents, image
from gateway.llm.dialects.content import blocks, shaped, system_of, tool_uses, unknown_block
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.offered import plain_tools, search_is_optional
from gateway.llm.dialects.openai_content import (
    EMPTY_SCHEMA,
    document_text,
    identity,
    shown_text,
)
from gateway.llm.dialects.protocol import Json, Options, Outbound, Reply
from gateway.llm.dialects.signatures import ANTHROPIC, THINKING, signed_by
from gateway.llm.dialects.turns import turns

_WHERE = "Bedrock Converse"
_CARRIED = {
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k",
    "stop_sequences", "stream", "thinking", "output_config", "metadata", "anthropic_beta",
}  # fmt: skip
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
EMPTY = "(empty)"  # blank text is refused


@shaped("Messages")
def write_request(hub: Json, options: Options) -> Outbound:
    names = Names()
    losses = [key for key in hub if key not in _CARRIED]
    body = _Conversation(options.model, names).body(hub)
    if tools := _tools(hub, names, search_is_optional(hub, options.quirks), losses):
        body["toolConfig"] = tools
    if extra := family.fields(hub, options.model, losses):
        body["additionalModelRequestFields"] = extra
    if options.count:
        body = {"input": {"converse": body}}
        path = invoke_path(options)
    else:
        body |= _settings(hub)
        verb = "converse-stream" if options.stream else "converse"
        path = f"/model/{quote(options.model, safe='')}/{verb}"
    one = bool((hub.get("tool_choice") or {}).get("disable_parallel_tool_use"))
    reply = Reply(
        model=options.model, names=names.back, one_call=one, prompt_estimate=options.prompt_estimate
    )
    headers = {"content-type": "application/json"}
    return Outbound(path=path, body=body, headers=headers, reply=reply, losses=losses)


def _settings(hub: Json) -> Json:
    out: Json = {}
    limits = {
        "maxTokens": hub.get("max_tokens"),
        "temperature": hub.get("temperature"),
        "topP": hub.get("top_p"),
        "stopSequences": hub.get("stop_sequences"),
    }
    if given := {key: value for key, value in limits.items() if value not in (None, [])}:
        out["inferenceConfig"] = given
    if wanted := (hub.get("output_config") or {}).get("format"):
        schema = {"schema": orjson.dumps(wanted.get("schema") or {}).decode(), "name": "answer"}
        out["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    if user := identity(hub):
        out["requestMetadata"] = {"user_id": user}
    return out


def _tools(hub: Json, names: Names, optional: bool, losses: list[str]) -> Json:
    """Without tools in the request, those of the conversation: Converse refuses calls of tools that it is not told."""
    if hub.get("mcp_servers") or hub.get("container"):
        raise BadRequest("mcp_servers and container work with Anthropic's own API only")
    called = {block["name"] for block in tool_uses(hub.get("messages") or [])}
    choice = hub.get("tool_choice") or {}
    if choice.get("type") == "none" and not called:
        return {}
    specs = [_tool(tool, names) for tool in plain_tools(hub, optional=optional, losses=losses)]
    if not specs:
        specs = [_spec(name, "", EMPTY_SCHEMA, names) for name in sorted(called)]
    if not specs:
        return {}
    out: Json = {"tools": specs}
    if choice.get("type") in ("auto", "any"):
        out["toolChoice"] = {choice["type"]: {}}
    elif choice.get("type") == "tool":
        out["toolChoice"] = {"tool": {"name": names.send(choice["name"])}}
    return out


def _tool(tool: Json, names: Names) -> Json:
    schema = tool.get("input_schema") or EMPTY_SCHEMA
    return _spec(tool["name"], tool.get("description") or "", schema, names)


def _spec(name: str, description: str, schema: Json, names: Names) -> Json:
    schema = schema if schema.get("type") == "object" else {**schema, "type": "object"}
    made = {"name": names.send(name), "description": description or name, "inputSchema": {"json": schema}}
    return {"toolSpec": made}


def call_id(ident: str) -> str:
    return ident if _ID.fullmatch(ident) else "t_" + blake2b(ident.encode(), digest_size=16).hexdigest()


class _Conversation:
    """The messages and the system prompt, with the state that they share: names, documents, the family's abilities."""

    def __init__(self, model: str, names: Names) -> None:
        self._names = names
        self._documents = Documents()
        self._caches = family.cache_points(model)
        self._thinks = family.claude(model)
        self._errors = family.error_status(model)

    def body(self, hub: Json) -> Json:
        messages: list[Json] = []
        for turn in turns(hub.get("messages") or ()):
            role = "assistant" if turn["role"] == "assistant" else "user"
            self._add(messages, role, [made for block in turn["content"] for made in self._block(block)])
        for message in messages:
            message["content"] = message["content"] or [{"text": EMPTY}]
            if not any("text" in part for part in message["content"]) and any(
                "document" in part for part in message["content"]
            ):
                message["content"].append({"text": "See the document."})
        body: Json = {"messages": messages}
        if system := [made for block in system_of(hub) for made in self._block(block)]:
            body["system"] = system
        return body

    def _add(self, messages: list[Json], role: str, content: list[Json]) -> None:
        if not messages and role == "assistant":
            messages.append({"role": "user", "content": [{"text": EMPTY}]})
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(content)
        else:
            messages.append({"role": role, "content": content})

    def _block(self, block: Json) -> list[Json]:
        """Nothing, or what the block becomes, and a cache point where it carried one."""
        made = self._content(block)
        control = block.get("cache_control")
        if not made or not control or not self._caches:
            return made
        point: Json = {"type": "default"}
        if control.get("ttl") == "1h":
            point["ttl"] = "1h"
        return [*made, {"cachePoint": point}]

    def _content(self, block: Json) -> list[Json]:
        kind = block.get("type")
        if kind == "tool_use":
            given = block.get("input") or {}
            name = self._names.send(block["name"])
            return [{"toolUse": {"toolUseId": call_id(block["id"]), "name": name, "input": given}}]
        if kind == "tool_result":
            return [{"toolResult": self._result(block)}]
        if kind in THINKING:
            return self._thinking(block)
        return self._part(block)

    def _part(self, block: Json) -> list[Json]:
        kind = block.get("type")
        if kind == "image":
            return [image(block)]
        if kind == "document" and document_text(block) is None:
            return [self._documents.part(block)]
        text = _text(block)
        if text is None:
            raise unknown_block(block, _WHERE)
        return [{"text": text}] if text.strip() else []

    def _result(self, block: Json) -> Json:
        content = [made for part in blocks(block.get("content")) for made in self._part(part)]
        failed = bool(block.get("is_error"))
        if failed and not self._errors:
            content = [{"text": "Error:"}, *content]
        made: Json = {
            "toolUseId": call_id(block["tool_use_id"]),
            "content": content or [{"text": EMPTY}],
        }
        return made | ({"status": "error"} if failed and self._errors else {})

    def _thinking(self, block: Json) -> list[Json]:
        if not self._thinks or not signed_by(block, ANTHROPIC):
            return []
        if block["type"] == "thinking":
            text = {"text": block["thinking"], "signature": block["signature"]}
            return [{"reasoningContent": {"reasoningText": text}}]
        return [{"reasoningContent": {"redactedContent": _blob(block["data"])}}]


def _blob(text: str) -> str:
    return b64encode(text.encode()).decode()


def _text(block: Json) -> str | None:
    text = shown_text(block)
    return served.text_of(block) if text is None else text
