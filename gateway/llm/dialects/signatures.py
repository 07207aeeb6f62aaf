"""Who signed a thinking block.

Providers sign the thinking that they want back, and refuse each other's signatures. In the hub a foreign
signature carries a prefix, inside `thinking.signature` or `redacted_thinking.data`; Anthropic's own carry none.
A client replays what it got, to whatever provider its next turn goes: so each writer keeps only its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.llm.dialects.protocol import Json

ANTHROPIC: Final = ""
GEMINI: Final = "gm1."
OPENAI: Final = "oa1."
OPENROUTER: Final = "or1."
PREFIXES = (GEMINI, OPENAI, OPENROUTER)
THINKING = ("thinking", "redacted_thinking")


def signature(block: Json) -> str:
    """The signature of a thinking block as the hub has it; empty where it was never signed."""
    return str(block.get("signature" if block.get("type") == "thinking" else "data") or "")


def signed_by(block: Json, prefix: str) -> bool:
    value = signature(block)
    if prefix:
        return value.startswith(prefix)
    return bool(value) and not value.startswith(PREFIXES)


def keep(messages: Iterable[Json], prefix: str) -> list[Json]:
    """The conversation with only this signer's thinking; a message that held nothing else is left out."""
    kept = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list) or all(_stays(block, prefix) for block in content):
            kept.append(message)
        elif rest := [block for block in content if _stays(block, prefix)]:
            kept.append({**message, "content": rest})
    return kept


def _stays(block: Json, prefix: str) -> bool:
    return block.get("type") not in THINKING or signed_by(block, prefix)
