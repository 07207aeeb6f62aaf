"""What of Anthropic's API Bedrock and Vertex take, as of November 2026.

A beta that a platform does not know makes it refuse the whole request, and a field whose beta was dropped is refused
as well: so both go together. The lists are closed, for there is no way to ask; a new beta is left out until it is
entered here, which `docs/llm.md` says, and every loss is named. What Claude Code 2.1.328 itself sends in its Bedrock and
Vertex modes is among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from gateway.llm.dialects.protocol import Json

_EVERYWHERE = (
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "interleaved-thinking-2025-05-14",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "tool-search-tool-2025-10-19",
)
_RENAMED = {"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"}
_NATIVE = {theirs: ours for ours, theirs in _RENAMED.items()}
# Members of the body that stand or fall with a beta, by the beginning of its name.
_FIELDS = {
    "fast-mode-": ("speed",),
    "structured-outputs-": ("output_format",),
    "context-management-": ("context_management",),
}
_NEVER = ("mcp_servers", "container", "service_tier", "inference_geo", "diagnostics", "user_profile_id")
_SERVER_TOOLS = ("web_fetch_", "code_execution_", "advisor_", "mcp_toolset")


class Platform(Struct, frozen=True):
    name: str
    betas: frozenset[str]
    web_search: bool = False
    renamed: dict[str, str] = field(default_factory=lambda: dict(_RENAMED))


BEDROCK = Platform(
    "Bedrock",
    frozenset(_EVERYWHERE)
    | {
        "effort-2025-11-24",
        "fine-grained-tool-streaming-2025-05-14",
        "mid-conversation-output-config-2026-07-01",
        "mid-conversation-tool-changes-2026-07-01",
        "tool-examples-2025-10-29",
    },
)
VERTEX = Platform(
    "Vertex",
    frozenset(_EVERYWHERE)
    | {
        "claude-code-20250219",
        "compact-2026-09-04",
        "effort-2025-11-24",
        "per-turn-control-2026-07-01",
        "web-search-2025-03-05",
    },
    web_search=True,
)


def asked(header: str | None, body: Json) -> list[str]:
    """The betas of the header and of the body, each once."""
    listed = [each.strip() for each in (header or "").split(",")]
    listed += body.get("anthropic_beta") or ()
    return list(dict.fromkeys(each for each in listed if each))


def native(betas: Iterable[str]) -> list[str]:
    """The betas by the names that Anthropic's own API has for them."""
    return list(dict.fromkeys(_NATIVE.get(beta, beta) for beta in betas))


def settle(body: Json, betas: Iterable[str], platform: Platform) -> tuple[Json, list[str], list[str]]:
    """The body and the betas that the platform takes, and what was left out."""
    wanted = [platform.renamed.get(beta, beta) for beta in betas]
    kept = list(dict.fromkeys(beta for beta in wanted if beta in platform.betas))
    losses = [f"anthropic-beta: {beta}" for beta in wanted if beta not in platform.betas]
    dropped = {*_NEVER, "anthropic_beta", *_orphans(kept)} & body.keys()
    losses += sorted(dropped - {"anthropic_beta"})
    body = {key: value for key, value in body.items() if key not in dropped}
    _edits(body, losses)
    _tools(body, platform, losses)
    return _unscoped(body), kept, losses


def _orphans(kept: list[str]) -> Iterable[str]:
    for beginning, fields in _FIELDS.items():
        if not any(beta.startswith(beginning) for beta in kept):
            yield from fields


def _edits(body: Json, losses: list[str]) -> None:
    management = body.get("context_management")
    if not management:
        return
    edits = management.get("edits") or []
    left = [edit for edit in edits if not str(edit.get("type")).startswith("clear_thinking")]
    if len(left) < len(edits):
        losses.append("context_management.clear_thinking")
        if left:
            body["context_management"] = {**management, "edits": left}
        else:
            del body["context_management"]


def _tools(body: Json, platform: Platform, losses: list[str]) -> None:
    tools = body.get("tools")
    if not tools:
        return
    left = [_plain(tool) for tool in tools if not _server(tool, platform)]
    losses += [f"tools.{tool['type']}" for tool in tools if _server(tool, platform)]
    if left:
        body["tools"] = left
    else:
        del body["tools"]
    chosen = (body.get("tool_choice") or {}).get("name")
    if not left or (chosen and all(tool.get("name") != chosen for tool in left)):
        body.pop("tool_choice", None)


def _server(tool: Json, platform: Platform) -> bool:
    kind = str(tool.get("type") or "")
    return kind.startswith(_SERVER_TOOLS) or (kind.startswith("web_search_") and not platform.web_search)


def _plain(tool: Json) -> Json:
    if tool.get("type") != "custom" and "eager_input_streaming" not in tool:
        return tool
    left = {key: value for key, value in tool.items() if key != "eager_input_streaming"}
    if left.get("type") == "custom":
        del left["type"]
    return left


def _unscoped(value: Any) -> Any:
    """Without `scope` in any `cache_control`; what has none is not copied."""
    if isinstance(value, list):
        made = [_unscoped(each) for each in value]
        return made if any(a is not b for a, b in zip(made, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    changed = {}
    for key, each in value.items():
        if key == "cache_control" and isinstance(each, dict) and "scope" in each:
            changed[key] = {k: v for k, v in each.items() if k != "scope"}
        elif isinstance(each, dict | list) and key not in ("input", "input_schema"):
            made = _unscoped(each)
            if made is not each:
                changed[key] = made
    return {**value, **changed} if changed else value
