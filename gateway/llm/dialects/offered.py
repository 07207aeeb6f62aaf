"""The tools that a model may see now.

Claude Code defers most of its tools: they stand in `tools` with `defer_loading`, and the model is told of them by a
search whose result refers to them. Newer clients add and remove tools in the middle of a conversation.
"""

from __future__ import annotations

from gateway.errors import BadRequest
from gateway.llm.dialects import served
from gateway.llm.dialects.content import tool_uses
from gateway.llm.dialects.protocol import Json


def offered(hub: Json) -> list[Json]:
    """For models that know no deferring: every tool that was declared at once, found, called or added, none removed.

    Where the search was to run on Anthropic's servers nobody can search, so all are offered.
    """
    tools: list[Json] = hub.get("tools") or []
    deferred = {tool.get("name") for tool in tools if tool.get("defer_loading")}
    messages: list[Json] = hub.get("messages") or []
    added, removed = _changes(messages)
    tools = [*tools, *(tool for tool in added.values() if tool)]
    if deferred and not any(str(tool.get("type", "")).startswith("tool_search_tool") for tool in tools):
        deferred -= _found(messages) | added.keys()
    else:
        deferred = set()
    hidden = deferred | removed
    return [tool for tool in tools if tool.get("name") not in hidden] if hidden else tools


def plain_tools(hub: Json, *, optional: bool, losses: list[str]) -> list[Json]:
    """The client's own tools among those offered, for models that know no others; a search is left out where it is `optional`."""
    return [tool for tool in offered(hub) if _is_plain(tool, optional, losses)]


def _is_plain(tool: Json, optional: bool, losses: list[str]) -> bool:
    kind = str(tool.get("type") or "custom")
    if kind == "custom":
        return True
    if kind.startswith("tool_search_tool"):  # every tool is sent, so there is nothing to search
        losses.append("defer_loading")
        return False
    if kind.startswith("web_search_") and optional:
        losses.append("tools.web_search")
        return False
    raise BadRequest(f"the tool {kind!r} works with Anthropic's own API only")


def search_is_optional(hub: Json, quirks: frozenset[str]) -> bool:
    """Whether a model that cannot search may go without: where the client has tools of its own and forces no search.

    Codex asks for a search with every request, so refusing it would refuse Codex. The quirk `strict_web_search` does.
    """
    if "strict_web_search" in quirks or (hub.get("tool_choice") or {}).get("type") == "any":
        return False
    tools = hub.get("tools") or ()
    searches = {tool.get("name") for tool in tools if str(tool.get("type", "")).startswith("web_search_")}
    return len(tools) > len(searches) and (hub.get("tool_choice") or {}).get("name") not in searches


def _changes(messages: list[Json]) -> tuple[dict[str, Json], set[str]]:
    """Tools added in the conversation (with their definition, where one came) and those removed for good."""
    added: dict[str, Json] = {}
    removed: set[str] = set()
    for message in messages:
        if message.get("role") != "system" or not isinstance(message.get("content"), list):
            continue
        for block in message["content"]:
            name = served.changed(block)
            if block.get("type") == "tool_addition":
                removed.discard(name)
                added[name] = (block.get("tool") or {}).get("definition") or {}
            elif block.get("type") == "tool_removal":
                removed.add(name)
    return added, removed


def _found(messages: list[Json]) -> set[str]:
    """The tools that a search has shown to the model, or that it called."""
    names = {block.get("name", "") for block in tool_uses(messages)}
    for message in messages:
        if isinstance(message.get("content"), list):
            for block in message["content"]:
                if str(block.get("type", "")).endswith("tool_result"):
                    names.update(served.references(block.get("content")))
    return names
