"""A hub conversation in the strict order that other wires demand.

Anthropic forgives what others refuse: neighbours of one role, results in any order, a result that never came, system
text between a call and its result. Afterwards the content of every turn is a list of blocks, results come first in
the turn after their calls and in call order, a missing one is an error result, and an orphan is text.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import BadRequest
from gateway.llm.dialects import served
from gateway.llm.dialects.content import blocks, text_of, unknown_block
from gateway.llm.dialects.protocol import Json

NO_RESULT = "No result: the call was not carried out."


def turns(messages: Iterable[Json]) -> list[Json]:
    out: list[Json] = []
    calls: list[str] = []  # of the assistant's turn that is last in `out`, still unanswered
    held: list[Json] = []  # system messages that arrived between a call and its result
    for message in messages:
        role, content = message.get("role"), blocks(message.get("content"))
        if role == "system":
            (held if calls else out).append({"role": "system", "content": content})
        elif role == "assistant":
            calls = _answer(out, calls, [], held)
            _add(out, "assistant", content)
            calls = [b["id"] for b in out[-1]["content"] if b.get("type") == "tool_use"]
        elif role == "user":
            content = _merged(out, content) if not calls else content
            calls = _answer(out, calls, content, held)
        else:
            raise BadRequest(f"messages: unknown role {role!r}")
    _answer(out, calls, [], held)
    return out


def _add(out: list[Json], role: str, content: list[Json]) -> None:
    if out and out[-1]["role"] == role:
        out[-1]["content"].extend(content)
    else:
        out.append({"role": role, "content": list(content)})


def _merged(out: list[Json], content: list[Json]) -> list[Json]:
    """A second user message in a row may still answer calls of before: late results replace the made-up ones."""
    if not out or out[-1]["role"] != "user":
        return content
    late = {b["tool_use_id"]: b for b in content if b.get("type") == "tool_result"}
    answered = out[-1]["content"]
    for index, block in enumerate(answered):
        if block.get("content") == NO_RESULT and block.get("tool_use_id") in late:
            answered[index] = late.pop(block["tool_use_id"])
    return [b for b in content if b.get("type") != "tool_result" or b["tool_use_id"] in late]


def _answer(out: list[Json], calls: list[str], content: list[Json], held: list[Json]) -> list[str]:
    """Write a user turn that answers every open call, then what was held back. No calls are open afterwards."""
    results: Json = {b["tool_use_id"]: b for b in content if b.get("type") == "tool_result"}
    ordered = [results.pop(call, None) or _missing(call) for call in calls]
    rest = [_orphan(b) if b.get("tool_use_id") in results else b for b in content if _kept(b, results)]
    if ordered or rest:
        _add(out, "user", ordered + rest)
    out.extend(held)
    held.clear()
    return []


def _kept(block: Json, unclaimed: Json) -> bool:
    return block.get("type") != "tool_result" or block.get("tool_use_id") in unclaimed


def _missing(call: str) -> Json:
    return {"type": "tool_result", "tool_use_id": call, "content": NO_RESULT, "is_error": True}


def _orphan(block: Json) -> Json:
    if block.get("type") != "tool_result":
        return block
    return {"type": "text", "text": f"Result of an earlier call: {text_of(block.get('content'))}"}


def system_text(content: list[Json], where: str) -> str:
    """A system message in the middle of a conversation, as text."""
    return "\n\n".join(text for block in content if (text := _said(block, where)))


def _said(block: Json, where: str) -> str:
    text = block["text"] if block.get("type") == "text" else served.text_of(block)
    if text is None:
        raise unknown_block(block, where)
    return str(text)
