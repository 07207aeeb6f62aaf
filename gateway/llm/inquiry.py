"""What a client asks, and how it is put to one provider: untouched where both speak the same dialect, else translated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from gateway.call import Call, Operation
from gateway.endpoints import Endpoint
from gateway.errors import UNREADABLE, BadRequest
from gateway.heads import Head, Pair
from gateway.known import LONGEST
from gateway.limits import estimate
from gateway.llm import headers as passing
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.protocol import Options, Outbound, Reply, Request, Target
from gateway.llm.providers import Provider
from gateway.llm.routes import Candidate, Way
from gateway.llm.signing import FIXED
from gateway.llm.wires import wire
from gateway.net.client import Lines
from gateway.types import Headers

if TYPE_CHECKING:
    from gateway.llm.dialects.gemini.recall import Recall

WAYS = 16  # kept of one candidate; clients write both names and queries, and there may be many candidates
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"asgi-gateway")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_MODEL = re.compile(r"(?<=/models/)[^/:]+|(?<=/model/)[^/]+")


class Prepared(msgspec.Struct, gc=False):
    """A request as one provider gets it. `reply` reads the answer; None: it passes as it is."""

    candidate: Candidate
    dialect: str
    url: str
    headers: Headers
    body: bytes
    wire: Any  # the module that reads the answer
    reply: Reply | None = None


class Inquiry(msgspec.Struct):
    """One client request for a model. The hub's reading of it is made once, and only when a provider needs it."""

    call: Call
    op: Operation
    endpoint: Endpoint
    body: bytes
    head: Head  # of the request as it is now
    changing: Sequence[Pair]  # its other headers
    query: str  # without credentials
    memory: Callable[[], Recall]  # of thought signatures; made when a provider speaks Gemini
    asked: bool = False  # a provider has it, and has neither failed nor refused
    _request: Request | None = None

    @property
    def inbound(self) -> Any:
        return _embeddings() if self.embeds else wire(self.endpoint.dialect)

    @property
    def embeds(self) -> bool:
        return self.op.method == "embeddings"

    @property
    def counts(self) -> bool:
        return self.op.method == "count_tokens"

    @property
    def request(self) -> Request:
        if self._request is None:
            try:
                whole = _decode(self.body)
            except UNREADABLE as error:
                raise BadRequest(f"the request body is not valid JSON: {error}") from None
            target = Target(self.op.model, self.op.stream, self.counts, _pairs(self.query))
            self._request = self.inbound.read_request(whole, target)
        return self._request

    def dialect(self, candidate: Candidate) -> str:
        """The wire that this candidate is asked on."""
        return candidate.provider.dialect(candidate.model, "") if self.mixed else self._way(candidate).dialect

    @property
    def mixed(self) -> bool:
        """Cursor asks chat's endpoint in the words of Responses: no provider takes that as it is."""
        return self.op.method == "chat" and b'"messages"' not in self.body and b'"input"' in self.body

    def passes(self, candidate: Candidate) -> bool:
        """This candidate speaks the client's dialect: nothing has to be translated."""
        return not self.mixed and self._way(candidate).url != ""

    def prepare(self, candidate: Candidate) -> Prepared:
        """Signed already where the signature is the same for every request: then its headers are `Lines`."""
        self.call.losses = []
        if not self.mixed:
            way = self._way(candidate)
            if way.url:
                self.call.wire = way.dialect
                return self._untouched(candidate, way)
        self.call.wire = dialect = self.dialect(candidate)
        return self._translated(candidate, dialect)

    def _way(self, candidate: Candidate) -> Way:
        endpoint, provider, known = self.endpoint, candidate.provider, candidate.ways
        way = known.get((endpoint, self.query))
        if way is None:
            dialect = provider.dialect(candidate.model, endpoint.dialect)
            url = provider.url(_path(endpoint, candidate), self.query) if dialect == endpoint.dialect else ""
            way = Way(dialect, url)
            if len(known) < WAYS and len(endpoint.tail) + len(self.query) <= LONGEST:
                known[endpoint, self.query] = way
        return way

    def _options(self, candidate: Candidate) -> Options:
        return Options(
            model=candidate.model,
            asked=self.op.model,
            stream=self.op.stream,
            count=self.counts,
            headers=self.call.headers,
            quirks=candidate.quirks,
            max_output=candidate.provider.max_output,
        )

    def _untouched(self, candidate: Candidate, way: Way) -> Prepared:
        spoken = wire(way.dialect)
        body = spoken.forward(self.body, self._options(candidate))
        return Prepared(candidate, way.dialect, way.url, self._headers(candidate.provider), body, spoken)

    def _headers(self, provider: Provider) -> Headers:
        """The client's own, and the provider's."""
        found: Headers | None = self.head.known.get(provider)
        if found is None:
            found = [*passing.up(self.head.pairs, passthrough=provider.passthrough), *provider.headers]
            if isinstance(provider.signer, FIXED):
                found = Lines(provider.signer.sign("POST", provider.base_url, found, b""))
            self.head.known[provider] = found
        own = passing.beside(self.changing, self.head.pairs)
        return type(found)([*found, *own]) if own else found

    def _translated(self, candidate: Candidate, dialect: str) -> Prepared:
        if self.embeds and self.endpoint.dialect == "gemini":
            raise BadRequest(
                f"model: {self.op.model!r} is served by a provider without embedContent; ask /v1/embeddings"
            )
        provider = candidate.provider
        spoken = _embeddings().provider(dialect) if self.embeds else wire(dialect)
        hub, guess = self.request.hub, estimate.prompt(self.body, candidate.model, provider=provider.name)
        options = msgspec.structs.replace(self._options(candidate), prompt_estimate=guess)
        if dialect == "gemini":
            with shaped(self.endpoint.dialect):
                options = msgspec.structs.replace(options, signatures=self.memory().of(hub))
        asked: Outbound = spoken.write_request(hub, options)
        self.call.losses = [*self.request.losses, *asked.losses]
        url = provider.url(asked.path, urlencode(asked.query))
        added = [
            (name.encode(), value.encode()) for name, value in asked.headers.items() if name != "content-type"
        ]
        return Prepared(
            candidate,
            dialect,
            url,
            [_JSON, _AGENT, (b"accept-encoding", b"identity"), *added, *provider.headers],
            msgspec.json.encode(asked.body),  # whose numbers may be of any length
            spoken,
            asked.reply,
        )


def _embeddings() -> Any:
    """Imported with the first request that needs it."""
    from gateway.llm.dialects import embeddings

    return embeddings


def _pairs(query: str) -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in query.split("&") if each)}


def _path(endpoint: Endpoint, candidate: Candidate) -> str:
    """The API's own path below the provider's base URL, with the model's name there."""
    tail = endpoint.tail
    if endpoint.dialect in ("openai-chat", "openai-responses"):
        return tail.removeprefix("/v1")  # a base URL of this family ends in its version
    if endpoint.dialect == "vertex":
        tail = tail[tail.index("/publishers/") :]  # the project and the location are the provider's
    elif endpoint.dialect == "gemini":
        publisher = "/publishers/google" if "vertex" in candidate.provider.quirks else ""
        tail = publisher + tail[tail.index("/models") :]
    if endpoint.model:
        name = quote(candidate.model, safe="")
        return _MODEL.sub(lambda _: name, tail, count=1)
    return tail
