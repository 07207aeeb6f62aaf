"""Another provider's signed thinking, carried through a Gemini client inside `thoughtSignature`.

Gemini's clients drop thoughts from their history and replay the signatures of calls. So the thinking blocks that a
call needs travel whole, in base64, in the place where Gemini's own signature would stand.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from gateway.llm.dialects.protocol import Json

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
