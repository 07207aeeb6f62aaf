"""Reading hub content: strings and lists of blocks, the system prompt, tool results, sources of media."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects.protocol import Json

ATTRIBUTION = "x-anthropic-billing-header:"


# What reading foreign JSON raises where a field is of another type than the format says.
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@contextmanager
def shaped(what: str) -> Iterator[None]:
    """A client's body whose fields have other types than its format says is the client's mistake."""
    try:
        yield
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except MISSHAPEN as error:
        text = f"the body is not of {what}'s form: a field is missing, or of another type than it says there"
        raise BadRequest(text) from error


def blocks(content: Any) -> list[Json]:
    """The blocks of a message, a tool result or a system prompt; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise BadRequest("content must be a string or a list of content blocks")
    return content


def system_of(hub: Json) -> list[Json]:
    """The system prompt's blocks without the attribution block: it is Anthropic's alone, and varies per request."""
    return [block for block in blocks(hub.get("system")) if not is_attribution(block)]


def is_attribution(block: Json) -> bool:
    return str(block.get("text", "")).startswith(ATTRIBUTION)


def text_of(content: Any, separator: str = "\n") -> str:
    return separator.join(block["text"] for block in blocks(content) if block.get("text"))


def tool_uses(messages: list[Json]) -> Iterator[Json]:
    """Every client tool call of a conversation, in order."""
    for message in messages:
        if message.get("role") == "assistant" and isinstance(message.get("content"), list):
            yield from (block for block in message["content"] if block.get("type") == "tool_use")


def unknown_block(block: Json, where: str) -> BadRequest:
    """The refusal of a block that a dialect cannot carry: never a silent loss."""
    return BadRequest(f"a content block of type {block.get('type')!r} cannot be sent to {where}")
