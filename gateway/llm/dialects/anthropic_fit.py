"""Making a hub request one that Anthropic accepts, when it came from a client of another dialect (or provider)."""

from __future__ import annotations

import re
from typing import Any

from gateway.llm.dialects import signatures
from gateway.llm.dialects.content import blocks, tool_uses
from gateway.llm.dialects.names import Names
from gateway.llm.dialects.protocol import Json, Options
from gateway.llm.dialects.turns import turns

MIN_BUDGET = 1_024
_BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_000}
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def fit(hub: Json, options: Options, sent: Names) -> tuple[Json, list[str]]:
    """The body to send (a new dict where anything changes) and what was lost."""
    body = dict(hub)
    losses: list[str] = []
    body["messages"] = _messages(hub["messages"], sent, options.quirks)
    if hub.get("tools"):
        body["tools"] = [_tool(tool, sent) for tool in hub["tools"]]
    if (hub.get("tool_choice") or {}).get("name"):
        body["tool_choice"] = {**hub["tool_choice"], "name": sent.send(hub["tool_choice"]["name"])}
    if not options.count:
        body["max_tokens"] = hub.get("max_tokens") or options.max_output
    _thinking(body, options, losses)
    _sampling(body, options, losses)
    return body, losses


def _messages(messages: list[Json], sent: Names, quirks: frozenset[str]) -> list[Json]:
    kept = _said(signatures.keep(messages, signatures.ANTHROPIC))
    if not _paired(kept):
        kept = turns(kept)
    if any(each.get("role") == "system" for each in kept):
        kept = _placed(kept, knows="no_mid_system" not in quirks)
    if all(_fits(block, sent) for block in tool_uses(kept)):
        return kept
    return [
        {**message, "content": [_renamed(block, sent) for block in message["content"]]}
        if isinstance(message.get("content"), list) else message
        for message in kept
    ]  # fmt: skip


def _paired(messages: list[Json]) -> bool:
    """Every call is answered in the message after it, and every result answers one: Anthropic refuses all else."""
    calls: set[str] = set()
    for message in messages:
        content = message.get("content")
        content = content if isinstance(content, list) else []
        results = {block["tool_use_id"] for block in content if block.get("type") == "tool_result"}
        if message.get("role") == "system":
            if calls:
                return False
            continue
        if results != calls:
            return False
        calls = {block["id"] for block in content if block.get("type") == "tool_use"}
    return not calls


def _placed(messages: list[Json], *, knows: bool) -> list[Json]:
    """System messages between turns: where Anthropic takes one, which is after a user and before an assistant or the end.
    Elsewhere, and for models that know none, the user says it."""
    out: list[Json] = []
    for message, after in zip(messages, [*messages[1:], None], strict=True):
        if message.get("role") == "system":
            between = bool(out) and _hears(out[-1]) and (after is None or after.get("role") == "assistant")
            message = message if knows and between else {**message, "role": "user"}
        out.append(message)
    return out


def _hears(message: Json) -> bool:
    """After this turn a system message may stand."""
    content = message.get("content")
    if message.get("role") == "user":
        return True
    return (
        isinstance(content, list)
        and bool(content)
        and content[-1].get("type") in ("server_tool_use", "mcp_tool_use")
    )


def _said(messages: list[Json]) -> list[Json]:
    """Without empty texts, which Anthropic refuses and others send freely; the last message stays, for its own error."""
    said = []
    for at, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list) and any(_empty(block) for block in content):
            message = {**message, "content": [block for block in content if not _empty(block)]}
        if message.get("content") or at == len(messages) - 1:
            said.append(message)
    return said


def _empty(block: Json) -> bool:
    return block.get("type") == "text" and not block.get("text")


def _fits(block: Json, sent: Names) -> bool:
    return sent.send(block["name"]) == block["name"] and bool(_ID.fullmatch(block["id"]))


def _renamed(block: Json, sent: Names) -> Json:
    if block.get("type") == "tool_use":
        return {**block, "name": sent.send(block["name"]), "id": ident(block["id"])}
    if block.get("type") == "tool_result":
        return {**block, "tool_use_id": ident(block["tool_use_id"])}
    return block


def ident(value: Any) -> str:
    """A tool id in the letters that Anthropic allows: the same one every time."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", str(value)) or "_"


def _tool(tool: Json, sent: Names) -> Json:
    name = sent.send(str(tool.get("name", "")))
    return tool if name == tool.get("name") else {**tool, "name": name}


def _thinking(body: Json, options: Options, losses: list[str]) -> None:
    """Settles what Anthropic refuses beside thinking, and which kind of thinking the model knows."""
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    if kind not in ("enabled", "adaptive"):
        return
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool") or unsigned_loop(body):
        del body["thinking"]
        losses.append("thinking")
        return
    if kind == "adaptive" and "no_adaptive" in options.quirks:
        effort = (body.get("output_config") or {}).get("effort") or "high"
        body["thinking"] = thinking = {"type": "enabled", "budget_tokens": _BUDGETS.get(effort, 16_384)}
    elif kind == "enabled" and "adaptive_only" in options.quirks:
        body["thinking"] = thinking = {"type": "adaptive"}
    _budget(body, thinking)
    losses += [key for key in ("temperature", "top_k", "top_p") if body.pop(key, None) is not None]


def _sampling(body: Json, options: Options, losses: list[str]) -> None:
    """The newest models take none; the others a temperature of at most 1, where other dialects allow 2."""
    if "no_sampling" in options.quirks:
        losses += [key for key in ("temperature", "top_k", "top_p") if body.pop(key, None) is not None]
    elif (body.get("temperature") or 0) > 1:
        body["temperature"] = 1
        losses.append("temperature")


def _budget(body: Json, thinking: Json) -> None:
    """At least what Anthropic wants, and less than the maximum, which grows where it must."""
    if "budget_tokens" not in thinking:
        return
    budget = max(MIN_BUDGET, int(thinking["budget_tokens"]))
    body["thinking"] = {**thinking, "budget_tokens": budget}
    if body.get("max_tokens") is not None and body["max_tokens"] <= budget:
        body["max_tokens"] += budget


def unsigned_loop(body: Json) -> bool:
    """With a budget, a turn that goes on after tool calls must begin with Claude's own thinking: this one does not."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return False
    last = next((each for each in reversed(body["messages"]) if each.get("role") == "assistant"), None)
    content = blocks(last.get("content")) if last else []
    calls = any(block.get("type") == "tool_use" for block in content)
    return calls and content[0].get("type") not in signatures.THINKING
