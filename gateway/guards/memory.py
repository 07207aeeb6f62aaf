"""What was found in texts that were scanned before: a conversation grows at its end, and only its end is new."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b

from gateway.guards.findings import Finding


class Memory:
    """Findings by scanner and digest of the text; the longest unused go first. Holds no text."""

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._lock = threading.Lock()  # big inspections run in threads
        self._known: OrderedDict[tuple[str, bytes], tuple[Finding, ...]] = OrderedDict()

    @staticmethod
    def digest(text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def get(self, scanner: str, digest: bytes) -> tuple[Finding, ...] | None:
        with self._lock:
            found = self._known.get((scanner, digest))
            if found is not None:
                self._known.move_to_end((scanner, digest))
            return found

    def put(self, scanner: str, digest: bytes, found: tuple[Finding, ...]) -> None:
        with self._lock:
            self._known[scanner, digest] = found
            if len(self._known) > self._size:
                self._known.popitem(last=False)
