"""Thought signatures: Gemini's proofs of its thinking, and the part that each belongs to.

Gemini hangs a signature on a part: on a function call (it refuses the next request without it), on a text, on a
thought. The hub signs thinking blocks, so each signature becomes a thinking block, and its place is written into
it: `gm1.c.SIG` belongs to the call after the block, `gm1.t5.SIG` to the last five characters of the text before
(`t0` is the empty part that ends a stream), `gm1.h.SIG` to the thought itself.
"""

from __future__ import annotations

import re

from gateway.llm.dialects import signatures
from gateway.llm.dialects.protocol import Json

CALL = "c"
THOUGHT = "h"
SKIP = "skip_thought_signature_validator"  # Google's word for a call that another model made

_FORM = re.compile(re.escape(signatures.GEMINI) + r"(c|h|t\d{1,9})\.(.+)", re.S)


def after_text(characters: int) -> str:
    return f"t{characters}"


def wrap(place: str, signature: str) -> str:
    return f"{signatures.GEMINI}{place}.{signature}"


def unwrap(block: Json) -> tuple[str, str] | None:
    """The place and Gemini's own signature; None where another provider (or nobody) signed."""
    found = _FORM.fullmatch(signatures.signature(block))
    return (found[1], found[2]) if found else None


def of_call(block: Json) -> bool:
    """Whether Gemini signed the call after this block."""
    place = unwrap(block)
    return place is not None and place[0] == CALL


def of_text(block: Json) -> bool:
    """Whether Gemini signed the text before this block."""
    place = unwrap(block)
    return place is not None and place[0].startswith("t")


def bare(signature: str) -> str:
    """Gemini's own signature in the hub's; empty where it is none."""
    found = _FORM.fullmatch(signature)
    return found[2] if found else ""


def of_calls(message: Json) -> dict[str, str]:
    """Tool id -> hub signature of every signed call of an answer: what to remember for clients that drop thinking."""
    found, last = {}, None
    for block in message.get("content") or ():
        if block.get("type") == "tool_use" and last:
            found[block["id"]] = last
        place = unwrap(block) if block.get("type") in signatures.THINKING else None
        last = signatures.signature(block) if place and place[0] == CALL else None
    return found


def unsigned_calls(hub: Json) -> list[str]:
    """The tool ids whose signature a client did not replay: worth looking up before `write_request`."""
    missing = []
    for message in hub.get("messages") or ():
        if message.get("role") == "assistant" and isinstance(message.get("content"), list):
            signed = of_calls(message)
            calls = [block["id"] for block in message["content"] if block.get("type") == "tool_use"]
            missing += [] if not calls or calls[0] in signed else calls[:1]
    return missing
