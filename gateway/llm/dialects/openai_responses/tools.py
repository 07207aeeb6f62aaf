"""The tools of Responses that are no plain functions, as hub tools, and their calls both ways.

A free-text tool is a function with one text property. OpenAI's own client-side tools (shells, patches) are functions
with the schema of their action. A namespace is part of the name. `Kinds` remembers what each hub name stands for.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects.openai_chat.inbound import WEB_SEARCH, arguments, custom_tool
from gateway.llm.dialects.openai_content import function_of
from gateway.llm.dialects.protocol import Json

Kinds = dict[str, Json]  # hub name -> {"type": …, "name": …, "namespace": …}; plain functions are not in it

_STRINGS: Json = {"type": "array", "items": {"type": "string"}}
_NATIVE: dict[str, tuple[str, Json]] = {
    "local_shell": (
        "Run a command on the user's machine.",
        {
            "type": "object",
            "properties": {
                "command": _STRINGS,
                "timeout_ms": {"type": "integer"},
                "working_directory": {"type": "string"},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["command"],
        },
    ),
    "shell": (
        "Run shell commands on the user's machine.",
        {
            "type": "object",
            "properties": {
                "commands": _STRINGS,
                "timeout_ms": {"type": "integer"},
                "max_output_length": {"type": "integer"},
            },
            "required": ["commands"],
        },
    ),
    "apply_patch": (
        "Create, update or delete one file. `diff` is in V4A format; a deletion has none.",
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string"},
                "diff": {"type": "string"},
            },
            "required": ["type", "path"],
        },
    ),
}
CALLS = {"local_shell_call": "local_shell", "shell_call": "shell", "apply_patch_call": "apply_patch"}
_FIELDS = {"local_shell": "action", "shell": "action", "apply_patch": "operation"}
# What Codex asks for beside its own tools, whatever the provider: a search (every tool is sent), and pictures.
_IGNORED = ("tool_search", "image_generation")


def hub_name(name: str, namespace: str | None) -> str:
    return f"{namespace}__{name}" if namespace else name


def read_tools(tools: list[Json], kinds: Kinds, losses: list[str]) -> list[Json]:
    made = [each for tool in tools for each in _read(tool, kinds, losses)]
    if not made and "tools.image_generation" in losses:
        raise BadRequest("tools: image_generation runs at OpenAI, and cannot be translated")
    return made


def _read(tool: Json, kinds: Kinds, losses: list[str], namespace: str | None = None) -> list[Json]:
    kind, name = tool.get("type"), hub_name(tool.get("name") or "", namespace)
    if kind == "function":
        if namespace:
            kinds[name] = {"type": "function", "name": tool["name"], "namespace": namespace}
        return [function_of(tool, name)]
    if kind == "custom":
        kinds[name] = {"type": "custom", "name": tool.get("name"), "namespace": namespace}
        return [custom_tool(name, tool.get("description") or "", tool.get("format") or {})]
    if kind == "namespace":
        return [
            made
            for each in tool.get("tools") or ()
            for made in _read(each, kinds, losses, tool.get("name") or "")
        ]
    if kind in _NATIVE:
        description, schema = _NATIVE[kind]
        kinds[kind] = {"type": kind, "name": kind}
        return [{"name": kind, "description": description, "input_schema": schema}]
    offline = tool.get("external_web_access") is False  # a search of OpenAI's cache, which nobody else has
    if str(kind).startswith("web_search") and not offline:
        return [_web_search(tool)]
    if kind in _IGNORED or offline:
        losses.append(f"tools.{kind}")
        return []
    raise BadRequest(f"tools: the type {kind!r} cannot be translated")


def _web_search(tool: Json) -> Json:
    made = dict(WEB_SEARCH)
    if domains := (tool.get("filters") or {}).get("allowed_domains"):
        made["allowed_domains"] = domains
    if tool.get("user_location"):
        made["user_location"] = tool["user_location"]
    return made


def read_call(item: Json) -> Json | None:
    """The hub's tool call of a call item that a client replays; None where the item is no call of a client's tool."""
    kind = item.get("type") or ""
    if kind == "function_call":
        name, given = hub_name(item["name"], item.get("namespace")), arguments(item.get("arguments"))
    elif kind == "custom_tool_call":
        name, given = hub_name(item["name"], item.get("namespace")), {"input": item.get("input") or ""}
    elif kind in CALLS:
        name = CALLS[kind]
        given = {k: v for k, v in (item.get(_FIELDS[name]) or {}).items() if v is not None}
        if name == "local_shell":
            given.pop("type", None)
    else:
        return None
    return {"type": "tool_use", "id": item.get("call_id") or item.get("id"), "name": name, "input": given}


def call_item(block: Json, given: Any, kind: Json | None, ident: str, *, text: str) -> Json:
    """The finished call item of a hub tool call: `text` is its arguments as they were streamed."""
    what = kind["type"] if kind else "function"
    base: Json = {"id": ident, "call_id": block["id"], "status": "completed"}
    if what in ("function", "custom"):
        base["name"] = kind["name"] if kind else block["name"]
        if kind and kind.get("namespace"):
            base["namespace"] = kind["namespace"]
    if what == "function":
        return {**base, "type": "function_call", "arguments": text}
    given = given if isinstance(given, dict) else {"input": given}
    if what == "custom":
        return {**base, "type": "custom_tool_call", "input": str(given.get("input") or "")}
    if what == "local_shell":
        given = {"type": "exec", "env": {}, **given}
    return {**base, "type": f"{what}_call", _FIELDS[what]: given}
