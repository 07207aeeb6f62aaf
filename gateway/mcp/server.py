"""One server as the configuration names it: where it is, what of it may be seen, and how far its arguments reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.mcp.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Retries:
    """Only for what is safe to repeat: lists and reads, tools that say so themselves, and those named in `tools`."""

    max: int = 0
    backoff: float = 0.25
    on: frozenset[int] = frozenset({502, 503, 504})
    tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a tool's arguments may reach. Empty: anywhere."""

    path_prefix: str = ""
    deny_paths: tuple[str, ...] = ()
    # Only these arguments are paths; otherwise every one that looks like it.
    path_arguments: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.path_prefix or self.deny_paths or self.schemas)


@dataclass(frozen=True, slots=True)
class Agent:
    """What one agent may do with a server; it only ever narrows what the server allows."""

    allow: frozenset[str] | None = None
    scope: Scope = Scope()
    verified: bool = False  # the agent's name must come from a verified claim, not from a header
    enforce: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """`allow` holds upstream's or exposed names; None allows all. With `agents`, one that is not listed gets nothing."""

    upstream: Upstream
    prefix: str = ""
    allow: frozenset[str] | None = None
    agents: Mapping[str, Agent] = field(default_factory=dict)
    scope: Scope = Scope()
    retries: Retries = Retries()
    max_rows: int = 0
    max_bytes: int = 0
    enforce: bool = True

    @property
    def name(self) -> str:
        return self.upstream.name
