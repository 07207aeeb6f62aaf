"""Reasoning that only its maker can read, carried through conversations of another shape.

Towards the hub, OpenAI's reasoning item becomes a thinking block signed `oa1.ID.CIPHERTEXT`. Towards a Responses
client, another maker's signed thinking becomes a reasoning item whose ciphertext starts with `gw1.` and says what
block it was; the client replays it, and the block is restored. Nothing is remembered here.
"""

from __future__ import annotations

from typing import Final

from gateway.llm.dialects.protocol import Json
from gateway.llm.dialects.signatures import OPENAI, signature

WRAPPED: Final = "gw1."
_KINDS = {"t": "thinking", "r": "redacted_thinking"}


def sign(item: Json) -> str:
    """The hub's signature of a reasoning item; empty where it has no ciphertext."""
    ciphertext = item.get("encrypted_content")
    return f"{OPENAI}{item.get('id') or ''}.{ciphertext}" if ciphertext else ""


def item_of(block: Json) -> Json | None:
    """The reasoning item of a thinking block that OpenAI signed; None for every other."""
    signed = signature(block)
    if not signed.startswith(OPENAI):
        return None
    ident, _, ciphertext = signed.removeprefix(OPENAI).partition(".")
    item: Json = {"type": "reasoning", "summary": _summary(block), "encrypted_content": ciphertext}
    return {"id": ident, **item} if ident else item


def _summary(block: Json) -> list[Json]:
    text = block.get("thinking")
    return [{"type": "summary_text", "text": text}] if text else []


def block_of(item: Json) -> Json | None:
    """The thinking block of a reasoning item that a client replays; None where nothing of it can be used."""
    text = "\n\n".join(part.get("text") or "" for part in item.get("summary") or ())
    ciphertext = item.get("encrypted_content") or ""
    kind, signed = ("t" if text else "r"), sign(item)
    if ciphertext.startswith(WRAPPED):
        kind, _, signed = ciphertext.removeprefix(WRAPPED).partition(".")
    if not signed:
        return None
    if _KINDS.get(kind) == "redacted_thinking":
        return {"type": "redacted_thinking", "data": signed}
    return {"type": "thinking", "thinking": text, "signature": signed}


def ciphertext_of(block: Json) -> tuple[str, str]:
    """The id (may be empty) and the ciphertext of a hub block, for a Responses client."""
    signed = signature(block)
    if not signed:
        return "", ""
    if signed.startswith(OPENAI):
        ident, _, ciphertext = signed.removeprefix(OPENAI).partition(".")
        return ident, ciphertext
    return "", f"{WRAPPED}{'t' if block['type'] == 'thinking' else 'r'}.{signed}"
