"""The contract that every wire format keeps, and what passes between two of them.

The hub is Anthropic-shaped plain JSON: a request is a Messages request body, an answer a Messages response
body, a stream a sequence of Anthropic stream events (dicts with a `type`). A dialect is a module (or package)
whose functions are those of `Dialect`; it does no I/O. Every pair of dialects is two translations:

    client bytes -> inbound.read_request -> hub -> outbound.write_request -> provider
    client bytes <- inbound.writer/write_answer <- hub <- outbound.reader/read_answer <- provider

Where both sides speak the same dialect nothing is translated: `forward` gives the bytes to send, and a `Watcher`
looks at the bytes that come back.

What the hub adds to Anthropic's shapes (writers copy only the fields they know, so none of it reaches a client):
- `max_tokens` may be absent: the client's dialect does not ask for it; `Options.max_output` is then used.
- `usage` may hold `"estimated": true`, where the provider did not say, and `reasoning_tokens`.
- an `error` event may hold `"retry": true`: the same request may be asked again if nothing was sent to the client;
  and `"status"`, the HTTP status that it would have been.
- `write_request` raises BadRequest for a content block that the upstream cannot take, and names it.
- thinking signed by another provider than Anthropic has a prefixed signature: `signatures.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.metering.usage import Usage

Json = dict[str, Any]
Event = dict[str, Any]


def new_id(prefix: str) -> str:
    """`toolu_…`, `msg_…`: letters, digits, `_` and `-` only, as every client accepts."""
    return f"{prefix}_{secrets.token_hex(12)}"


class Target(Struct, frozen=True):
    """What the path and the query say of a request, for the wire formats that put it there."""

    model: str = ""
    stream: bool = False
    count: bool = False  # count the tokens, do not generate
    query: Mapping[str, str] = {}


class Request(Struct):
    """What a client asked, in the hub's terms. `wire` keeps what the client's own answer format depends on."""

    hub: Json
    model: str = ""  # as the client named it
    stream: bool = False
    count: bool = False
    losses: list[str] = []  # names of fields that the hub cannot carry
    wire: Json = {}  # private to the inbound dialect (`include_usage`, `alt`, …)


class Options(Struct, frozen=True, kw_only=True, gc=False):
    """How to write a request for one provider and one model.

    `quirks` are the flags of the provider's row and of the model; each dialect documents those it reads.
    """

    model: str  # the upstream's name for it
    asked: str = ""  # the name in the body, where the caller has read it: saves reading it again
    stream: bool = False
    count: bool = False
    headers: Mapping[str, str] = {}  # the client's, lower-case names
    quirks: frozenset[str] = frozenset()
    max_output: int = 32_000  # where the client sets no maximum and the upstream wants one
    prompt_estimate: int = 0  # tokens; used where the provider reports no usage
    signatures: Mapping[str, str] = {}  # tool id -> signature, for clients that drop thinking


class Reply(Struct, frozen=True, kw_only=True):
    """What reading the answer needs to know of the request that was sent."""

    model: str  # to report where the upstream does not say
    names: Mapping[str, str] = {}  # tool names as sent -> as the client knows them
    one_call: bool = False  # the client allows no parallel calls and the upstream knows no such switch
    prompt_estimate: int = 0
    new_id: Callable[[str], str] = new_id


class Outbound(Struct, frozen=True, kw_only=True):
    """A request for an upstream: everything but the base URL and the credential."""

    path: str  # joined to the provider's base URL; percent-encoded
    body: Json
    reply: Reply
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    losses: Sequence[str] = ()


class ErrorInfo(Struct, frozen=True):
    """An upstream's error in Anthropic's terms (`type`), with the status that a client should see."""

    status: int
    type: str
    message: str
    retry_after: float | None = None  # seconds


class Model(Struct, frozen=True):
    """One entry of a models list."""

    id: str
    name: str = ""
    created: int = 0  # seconds since the epoch
    owner: str = ""
    input_limit: int = 0
    output_limit: int = 0


class StreamReader(Protocol):
    """Upstream bytes -> hub events, whatever pieces the bytes arrive in. Owns its framing."""

    def feed(self, chunk: bytes) -> list[Event]: ...

    def end(self) -> list[Event]:
        """The upstream closed. A stream without its finish mark ends in an `error` event, never in `end_turn`."""
        ...


class StreamWriter(Protocol):
    """Hub events -> client bytes. After an `error` event there is nothing more to write."""

    @property
    def media(self) -> str:
        """The content type of the stream."""
        ...

    def write(self, event: Event) -> bytes: ...

    def ping(self) -> bytes:
        """Bytes that keep the client waiting; empty where the format has none."""
        ...


class Watcher(Protocol):
    """Looks at the bytes of a stream that passes untouched, and decodes only what it must."""

    @property
    def usage(self) -> Usage | None:
        """Cumulative; the last one is billed."""
        ...

    @property
    def stop_reason(self) -> str:
        """In the hub's terms; empty until known."""
        ...

    @property
    def finished(self) -> bool:
        """The stream's own end mark was seen."""
        ...

    @property
    def error(self) -> ErrorInfo | None:
        """An error that the upstream sent inside the stream."""
        ...

    def feed(self, chunk: bytes) -> None: ...


class Dialect(Protocol):
    """The functions of a dialect module. One that is never inbound (or never outbound) leaves that half out."""

    # towards the provider and back
    def write_request(self, hub: Json, options: Options) -> Outbound: ...
    def reader(self, reply: Reply) -> StreamReader: ...
    # Raises failures.AnswerFailed where the answer holds an error.
    def read_answer(self, body: Json, reply: Reply) -> Json: ...
    def read_count(self, body: Json) -> int: ...
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorInfo: ...

    # from the client and back (errors: gateway.refusals.render)
    def read_request(self, body: Json, target: Target) -> Request: ...
    def writer(self, request: Request) -> StreamWriter: ...
    def write_answer(self, message: Json, request: Request) -> Json: ...
    def write_count(self, tokens: int) -> Json: ...
    def write_models(self, models: Sequence[Model]) -> Json: ...

    # the same dialect on both sides
    def forward(self, body: bytes, options: Options) -> bytes: ...
    def watcher(self) -> Watcher: ...
    def usage_of(self, answer: bytes) -> Usage | None: ...
