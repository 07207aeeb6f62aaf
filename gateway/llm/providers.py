"""A provider: where models are served, which wire formats it speaks, and how it is asked."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from gateway.llm.signing import Signer, Unsigned
from gateway.net.client import DEFAULT_TIMEOUTS, Client, Timeouts
from gateway.types import Headers

UNSIGNED = Unsigned()


class Provider(Struct, frozen=True, kw_only=True, eq=False):
    """One provider as LLMApp uses it; `gateway.llm.rows` makes them from a row of the table and a credential.

    `dialects` are the wire formats of its models, the preferred one first: a client that speaks one of them is passed
    through, every other one is translated to the first. `by_model` overrides them for names that match a pattern (Vertex
    serves Claude and Gemini). `base_url` ends where the dialect's own path begins.
    """

    name: str
    base_url: str
    dialects: tuple[str, ...]
    by_model: tuple[tuple[str, tuple[str, ...]], ...] = ()
    signer: Signer = UNSIGNED
    passthrough: bool = False  # the client's own credential goes on
    headers: tuple[tuple[bytes, bytes], ...] = ()  # sent with every request
    query: str = ""  # likewise
    quirks: frozenset[str] = frozenset()
    max_output: int = 32_000
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    retries: int = 2
    client: Client | None = None  # its own, where it has a proxy or certificate of its own

    def dialect(self, model: str, inbound: str) -> str:
        """The wire format for this model: the client's own, where it is spoken."""
        spoken = self.dialects
        for pattern, others in self.by_model:
            if fnmatchcase(model, pattern):
                spoken = others
                break
        return inbound if inbound in spoken else spoken[0]

    def url(self, path: str, query: str) -> str:
        both = f"{self.query}&{query}" if self.query and query else self.query or query
        return f"{self.base_url}{path}?{both}" if both else self.base_url + path


def fixed_headers(headers: dict[str, str]) -> Headers:
    """Configured headers as they are sent."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
