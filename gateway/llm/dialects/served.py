"""What Anthropic's own servers leave in a conversation, as text for every other model.

A session may begin with Claude and go on elsewhere: searches, code runs and tool changes of its past must neither
be lost nor stop it. Blocks that mean something only to Anthropic's servers from now on (an uploaded file) are not here.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.llm.dialects.protocol import Json


def text_of(block: Json) -> str | None:
    """The text to send in place of the block (may be empty); None where it is no such block."""
    kind = str(block.get("type", ""))
    if kind in ("server_tool_use", "mcp_tool_use"):
        return f"(Called {block.get('name', 'a tool')} with {_json(block.get('input') or {})}.)"
    if kind in ("compaction", "fallback"):
        return str(block.get("content") or "")
    if kind in ("tool_addition", "tool_removal"):
        state = "now available" if kind == "tool_addition" else "no longer available"
        return f"The tool {changed(block)} is {state}."
    if kind.endswith("_tool_result"):
        return _result(block.get("content"))
    return None


def changed(block: Json) -> str:
    """The name of the tool that a `tool_addition` or `tool_removal` is about."""
    tool = block.get("tool") or {}
    return str(
        tool.get("name") or (tool.get("definition") or {}).get("name") or tool.get("server_name") or ""
    )


def references(content: Any) -> list[str]:
    """The tools that a search's result names."""
    found = content.get("tool_references") if isinstance(content, dict) else content
    found = found if isinstance(found, list) else []
    return [str(each.get("tool_name", "")) for each in found if each.get("type") == "tool_reference"]


def _result(content: Any) -> str:
    names = references(content)
    if names:
        return f"Tools found: {', '.join(names)}"
    if isinstance(content, list):
        return "\n".join(_line(each) for each in content if isinstance(each, dict))
    if not isinstance(content, dict):
        return str(content or "")
    if "error_code" in content:
        return f"(It failed: {content['error_code']}.)"
    document = content.get("content")
    if isinstance(document, dict) and (document.get("source") or {}).get("type") == "text":
        return f"{content.get('url', '')}\n{document['source'].get('data', '')}".strip()
    said = [str(content[key]) for key in ("stdout", "stderr", "text") if content.get(key)]
    return "\n".join(said) or _json(
        {key: value for key, value in content.items() if not key.startswith("encrypted")}
    )


def _line(block: Json) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    if "url" in block:
        return f"- {block.get('title') or ''} {block['url']}"
    return _json({key: value for key, value in block.items() if not key.startswith("encrypted")})


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
