"""Stand-ins for what was masked: the same for the same value, so a conversation stays itself from turn to turn, and turned
back into the value in the answer to the same request only."""

from __future__ import annotations

import re
from hashlib import blake2b

_SHAPE = re.compile(r"\[\[[a-z_]{2,24}:[0-9a-f]{10}\]\]")
LONGEST = 40  # characters of a placeholder: what a window must hold back so that none is cut


class Placeholders:
    """Those of one request. The key keeps others from finding the value by trying."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._values: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def stand_in(self, kind: str, value: str) -> str:
        digest = blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=5).hexdigest()
        name = f"[[{re.sub('[^a-z_]', '_', kind.lower())[:24] or 'masked'}:{digest}]]"
        self._values[name] = value
        return name

    def restore(self, text: str) -> str:
        if not self._values or "[[" not in text:
            return text
        return _SHAPE.sub(lambda match: self._values.get(match[0], match[0]), text)
