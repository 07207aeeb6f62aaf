"""Signed thinking, carried through clients that drop thinking but send back what stands on a call.

Gemini's clients replay `thoughtSignature`; chat clients replay, if anything, what Google's OpenAI-compatible API puts on a
call: `extra_content.google.thought_signature`. So the thinking blocks that a call needs travel there whole, in base64, and any
instance of the gateway can read them back.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from gateway.llm.dialects import signatures, thoughts
from gateway.llm.dialects.protocol import Event, Json

_MARK = b"hub-1:"  # a multiple of three, so that its base64 is a prefix
PREFIX = base64.b64encode(_MARK).decode()


def pack(blocks: list[Json]) -> str:
    return base64.b64encode(_MARK + orjson.dumps(blocks)).decode()


def unpack(signature: str) -> list[Json] | None:
    """The thinking blocks; None for a signature that is Gemini's own. Clients may change the alphabet of base64."""
    if not signature.startswith(PREFIX):
        return None
    try:
        raw = base64.b64decode(signature.replace("-", "+").replace("_", "/") + "=" * (-len(signature) % 4))
        blocks: Any = orjson.loads(raw.removeprefix(_MARK))
    except (binascii.Error, orjson.JSONDecodeError):
        return []
    return [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []


def restore(blocks: list[Json], signature: str) -> None:
    """Puts at the end of an assistant's blocks, where a call follows, the thinking that the call's signature stands for."""
    packed = unpack(signature) if signature else None
    if packed is not None:
        since = next((at + 1 for at in reversed(range(len(blocks))) if blocks[at]["type"] == "tool_use"), 0)
        first = [block for block in packed if not thoughts.of_call(block)]
        said = [block for block in blocks[since:] if block["type"] != "thinking"]
        blocks[since:] = first + said + [block for block in packed if thoughts.of_call(block)]
    elif signature and signature != thoughts.SKIP:
        signed = thoughts.wrap(thoughts.CALL, signature)
        if blocks and blocks[-1]["type"] == "thinking" and not blocks[-1]["signature"]:
            blocks[-1]["signature"] = signed
        else:
            blocks.append({"type": "thinking", "thinking": "", "signature": signed})


class Pending:
    """The signed thinking of an answer that no call has taken along yet."""

    __slots__ = ("_blocks", "_open")

    def __init__(self) -> None:
        self._blocks: list[Json] = []
        self._open: Json | None = None

    def add(self, block: Json) -> None:
        if (
            block["type"] in signatures.THINKING
            and signatures.signature(block)
            and not thoughts.of_text(block)
        ):
            self._blocks.append(block)

    def hear(self, event: Event) -> None:
        """The same of a stream's events."""
        kind = event["type"]
        if kind == "content_block_start":
            block = event["content_block"]
            self._open = dict(block) if block["type"] in signatures.THINKING else None
        elif self._open is not None and kind == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "thinking_delta":
                self._open["thinking"] += delta["thinking"]
            elif delta["type"] == "signature_delta":
                self._open["signature"] = delta["signature"]
        elif self._open is not None and kind == "content_block_stop":
            self.add(self._open)
            self._open = None

    def take(self) -> list[Json]:
        """For the call that begins now."""
        blocks, self._blocks = self._blocks, []
        return blocks
