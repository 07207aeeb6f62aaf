"""The one shared context of a request, and the nouns that it is made of.

A `Call` is one HTTP request. An `Operation` is one thing asked for in it: a model call, or one MCP method
(a batch holds several). Policies decide per operation; what became of an operation is a `Record`.
Each field of `Call` has one writer, named beside it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from gateway import heads
from gateway.endpoints import Endpoint, match
from gateway.heads import Head, Heads, Pair
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.types import Dialect

if TYPE_CHECKING:
    from gateway.policies import Policies
    from gateway.refusals import Refusal
    from gateway.types import Scope

Kind = Literal["llm", "mcp", "http"]


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who calls. `id` is unique over all kinds (`key:k_1a2b`, `jwt:ISSUER#SUB`, `anonymous`)."""

    id: str
    kind: Literal["key", "jwt", "anonymous"]
    name: str = ""  # for people: the key's owner, the e-mail or the subject
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] | None = None  # verified JWT claims; None without a JWT
    key: Mapping[str, Any] | None = None  # the virtual key's record (id, owner, groups, models, limits)
    expires: float = float("inf")  # seconds since the epoch


ANONYMOUS = Principal("anonymous", "anonymous")


class Attribution(msgspec.Struct, frozen=True, gc=False):
    """Whom to charge. A verified claim beats a header; what came from a header only is in `unverified`."""

    user: str = ""
    agent: str = ""
    project: str = ""
    session: str = ""
    unverified: frozenset[str] = frozenset()


class Operation(msgspec.Struct, gc=False):
    """One thing asked for. `method` is `messages`, `chat`, `responses`, `generate`, `embeddings`, `count_tokens`, `models`
    for models, and the JSON-RPC method for MCP (`tools/call`); other HTTP requests have `GET` and the like."""

    kind: Kind
    method: str
    charged: bool = True  # False for count_tokens, model lists, probes, lists, pings
    # models
    model: str = ""
    stream: bool = False
    max_tokens: int | None = None
    # MCP: the subject of the operation, None where it has none (`initialize`, a list as a whole)
    subject: Literal["tool", "prompt", "resource", "task"] | None = None
    server: str = ""
    name: str = ""  # the upstream's own name (or URI)
    exposed: str = ""  # what the client sees and sends
    arguments: Any = None
    tool_use_id: str = ""  # `_meta["claudecode/toolUseId"]`: joins the LLM trace to the MCP trace
    meta: Mapping[str, Any] | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one policy said of one operation; kept for the log, the span and the audit."""

    policy: str  # auth | authz | ratelimit | guard | kill | pins | scope
    action: Literal["allow", "refuse", "mask", "audit", "would_refuse"]
    rule: str = ""
    reason: str = ""


class Phase(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a call: `auth`, `authz`, `ratelimit`, `guard`, or one `attempt` at an upstream."""

    name: str
    started: int  # perf_counter_ns
    ended: int
    detail: str = ""  # of an attempt: which upstream, and what came of it


class Call(msgspec.Struct):
    """One HTTP request on its way. Reached only through `Call.of(scope)`."""

    id: str  # access
    at: float  # access: seconds since the epoch
    started: int  # access: perf_counter_ns
    path: str  # access: decoded once; routing and policy read this and nothing else
    verb: str = "GET"  # access: the HTTP method
    dialect: Dialect = "http"  # access; the router, for MCP routes
    query: str = ""  # access: undecoded
    endpoint: Endpoint | None = None  # access: which model API's path this is
    ip: str = ""  # access
    headers: Mapping[str, str] = {}  # access, auth: lower-case names, first value
    head: Head = msgspec.field(default_factory=heads.nothing)  # likewise: those of many requests
    changing: Sequence[Pair] = ()  # access: those of this one alone, and the same by name
    own: Mapping[str, str] = {}
    route: str = ""  # the router
    principal: Principal = ANONYMOUS  # auth
    token: str = ""  # auth: the verified JWT, only to exchange it for an upstream's
    attribution: Attribution = Attribution()  # auth
    body: bytes | None = None  # whoever reads it first, by `body.read`
    operation: Operation | None = None  # whoever needs it first, by `operations.of`
    policies: Policies | None = None  # each policy's own middleware fills its slot
    verdicts: list[Verdict] = []  # each policy appends
    usage: Usage | None = None  # the handler that saw the provider's own figures, else the usage middleware
    metered: bool = False  # the usage middleware: it reads the usage, nobody else has to
    provider: str = ""  # LLMApp
    upstream_model: str = ""  # LLMApp
    wire: str = ""  # LLMApp: the dialect in which the provider was asked
    losses: list[str] = []  # LLMApp: fields that this wire has no word for
    disowned: list[str] = []  # LLMApp: providers that refused the gateway's credential
    attempts: int = 0  # LLMApp
    answered: int = 0  # LLMApp, MCPApp: perf_counter_ns at which the last attempt had its answer's head
    first_byte: int = 0  # LLMApp: perf_counter_ns of the upstream's first body byte
    upstream_ns: int = 0  # LLMApp, MCPApp: time spent waiting for upstreams
    status: int = 0  # access: what was sent
    bytes_out: int = 0  # access
    refusal: Refusal | None = None  # `refusals.send`
    records: list[Record] = []  # the usage policy: one an operation
    timed: bool = False  # access: its phases are shown to somebody
    phases: list[Phase] = []  # of a `timed` call, by `took`
    tool_uses: list[str] = []  # the relay: ids of the tool uses that the model asked for
    labels: dict[str, str] = {}  # the usage policy
    trace_id: str = ""  # access
    span_id: str = ""  # access
    parent_span_id: str = ""  # access
    abort: Callable[[], None] | None = None  # the relay: ends the upstream at once
    stopped: Refusal | None = None  # `stop`

    def __repr__(self) -> str:
        return f"Call({self.id})"  # no header or token gets into a log this way

    @classmethod
    def of(cls, scope: Scope) -> Call:
        """The call of this request, made on first use, so that any middleware works alone."""
        try:
            return scope["state"]["gateway"]  # type: ignore[no-any-return]
        except KeyError:
            call = scope.setdefault("state", {})["gateway"] = cls.new(scope)
            return call

    @classmethod
    def new(cls, scope: Scope, lately: Heads | None = None) -> Call:
        """`lately` are heads to be found again."""
        client, at = scope.get("client"), time.time()
        pairs, changing = heads.split(scope.get("headers", ()))
        head = heads.head(pairs) if lately is None else lately.of(pairs)
        path = _below(scope.get("root_path", ""), _path(scope))
        endpoint = match(path, head.names)
        call = cls(
            id=_named(at),
            at=at,
            started=time.perf_counter_ns(),
            path=path,
            verb=scope.get("method", "GET"),
            query=scope.get("query_string", b"").decode("latin-1"),
            endpoint=endpoint,
            dialect=endpoint.dialect if endpoint is not None else "http",
            ip=client[0] if client else "",
            head=head,
            changing=changing,
            own=heads.names(changing),
        )
        call.show(scope, head)
        return call

    def show(self, scope: Scope, head: Head) -> None:
        """These are the request's headers for all that is inside."""
        self.head, self.headers = head, {**head.names, **self.own}
        scope["headers"] = [*head.pairs, *self.changing]

    def look(self, scope: Scope) -> None:
        """Take the headers as they are now: an app in between may have changed them."""
        head, changing = self.shown(scope["headers"])
        if head is not self.head:
            self.changing, self.own = changing, heads.names(changing)
            self.show(scope, head)

    def shown(self, headers: Iterable[Pair]) -> tuple[Head, Sequence[Pair]]:
        """The head of a scope with these headers: the call's own, unless an app in between has changed them."""
        if headers == [*self.head.pairs, *self.changing]:
            return self.head, self.changing
        pairs, changing = heads.split(headers)
        return heads.head(pairs), changing

    def took(self, name: str, started: int, detail: str = "") -> None:
        """Note a phase that began at `started` (perf_counter_ns) and ends now."""
        self.phases.append(Phase(name, started, time.perf_counter_ns(), detail))

    def stop(self, refusal: Refusal) -> None:
        """End this call now, even while it streams: a kill switch was thrown, or the process leaves."""
        self.stopped = refusal
        if self.abort is not None:
            self.abort()


def _named(at: float) -> str:
    """Later calls have later names, so that an index over them grows at its end; a name is no secret."""
    return "req_0%x" % (int(at * 1_000_000) << 40 | random.getrandbits(40))  # until the year 2112


def _below(root: str, path: str) -> str:
    """The path below the place where the app is mounted."""
    if root and path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/"):
        return path[len(root) :]
    return path


def _path(scope: Scope) -> str:
    """Decoded once, but for the slash: an encoded one belongs to its segment (Bedrock's model ids hold some)."""
    raw: bytes = scope.get("raw_path") or b""
    if 0x25 not in raw or b"%2f" not in raw.lower():
        return scope.get("path", "")  # type: ignore[no-any-return]
    return unquote(re.sub("%2f", "%252F", raw.decode("latin-1"), flags=re.IGNORECASE))
