"""Answers that are given again to the same question, for as long as the operator says.

It stands inside of all policies, where a provider would be asked: whoever is answered from here was authenticated, counted and
inspected as ever, and what is kept is what came from the provider's side, before a guard changed it for one caller.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from gateway.errors import ConfigError, StoreError
from gateway.heads import Pair
from gateway.limits.breaker import Breaker
from gateway.llm import headers as passing
from gateway.llm.routes import Candidate
from gateway.metering.usage import Usage
from gateway.net.client import values
from gateway.stores.bounded import BoundedDocuments
from gateway.tasks import under_way
from gateway.types import Headers

if TYPE_CHECKING:
    from gateway.call import Call
    from gateway.llm.inquiry import Inquiry
    from gateway.llm.relay import Relay
    from gateway.stores.protocols import Shelf

log = logging.getLogger("gateway")
T = TypeVar("T")
Scope = Literal["principal", "group", "route"]
KIND: Final = "answer"
LARGEST: Final = 1024 * 1024  # bytes of an answer
PACKED: Final = 256 * 1024  # bytes of it, packed; in base64 they fit into an item of any store
PATIENCE: Final = 0.5  # seconds that the store may take
WRITING: Final = 64  # answers on their way to the store at a time
_MEDIA = (b"application/json", b"text/event-stream", b"application/vnd.amazon.eventstream")
# What OpenAI keeps of these between two requests makes equal ones differ.
_STATEFUL = (b'"conversation"', b'"background"')


class Kept(msgspec.Struct, frozen=True):
    """One answer. In its document the body is packed."""

    at: float
    media: str
    model: str  # which the provider was asked for
    usage: Usage
    body: bytes


class _Said(msgspec.Struct):
    """Members of a whole answer that say that it is none."""

    error: Any = None
    status: str = "completed"  # of OpenAI's responses


_said = msgspec.json.Decoder(_Said)


class Cache:
    """`LLMApp(providers=…, cache=Cache(ttl=3600, store=open_store("sqlite:///gateway.db")))`

    `scope` says whom an answer is kept for: the one who got it, everybody with the same groups, or everybody on the route.
    Without a `store` answers are kept in this process, in `BoundedDocuments` of its own. `at_once` writes before the request ends.
    """

    def __init__(
        self,
        *,
        ttl: float,
        scope: Scope = "principal",
        largest: int = LARGEST,
        store: Shelf | None = None,
        at_once: bool = False,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if ttl <= 0:
            raise ConfigError("llm.cache.ttl: must be more than nothing; without a cache no answer is kept")
        self._ttl = ttl
        self._scope = scope
        self._largest = largest
        self._store = BoundedDocuments(clock=clock) if store is None else store
        self._at_once = at_once
        self._patience = patience
        self._clock = clock
        self._breaker = Breaker()
        self._writing: set[asyncio.Task[None]] = set()
        self.counters: Counter[str] = Counter()  # hit, miss; get, put: the store failed

    async def answered(self, inquiry: Inquiry, candidates: Sequence[Candidate], relay: Relay) -> bool:
        """Whether the client has been answered from here. If not, the relay is told what its answer is to be kept as."""
        wishes = _wishes(inquiry.head.pairs)
        whose = self._whose(inquiry.call)
        if not whose or b"no-store" in wishes or not _repeatable(inquiry):
            return False
        key = _key(inquiry, candidates, whose)
        kept = None if b"no-cache" in wishes else await self._found(key)
        self.counters["miss" if kept is None else "hit"] += 1
        if kept is None:
            relay.key = key
            return False
        await relay.again(_head(kept, inquiry.call, self._clock()), kept.body, kept.usage, kept.model)
        return True

    async def keep(self, key: str, relay: Relay, call: Call) -> None:
        """Keep what the client was told, if that is an answer and all of it."""
        told = relay.told(self._largest)
        if told is None or call.usage is None or not _is_answer(*told) or not self._breaker.allows():
            return
        head, body = told
        media = dict(head)[b"content-type"].decode("latin-1")
        kept = Kept(self._clock(), media, call.upstream_model, call.usage, body)
        if self._at_once:
            return await self._write(key, kept)
        if len(self._writing) >= WRITING:
            return self._failed("put", "it is behind")
        task = asyncio.create_task(self._write(key, kept))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _whose(self, call: Call) -> Sequence[str]:
        """Nobody's answers are nobody's: who has no identity shares them on a whole route, or not at all."""
        who = call.principal
        if self._scope == "route":
            return ("route",)
        if self._scope == "group" and who.groups:
            return ("group", *sorted(who.groups))
        return () if who.kind == "anonymous" else ("principal", who.id)

    async def _found(self, key: str) -> Kept | None:
        item = await self._asked("get", self._store.get(KIND, key)) if self._breaker.allows() else None
        if item is None:
            return None
        try:
            kept = msgspec.convert(item.value, Kept)
            kept = msgspec.structs.replace(kept, body=zlib.decompress(kept.body))
        except (msgspec.ValidationError, zlib.error) as error:
            self._failed("get", error)
            return None
        return kept if kept.at + self._ttl > self._clock() else None

    async def _write(self, key: str, kept: Kept) -> None:
        packed = await asyncio.to_thread(zlib.compress, kept.body, 1)
        if len(packed) <= PACKED:
            value = msgspec.to_builtins(msgspec.structs.replace(kept, body=packed))
            await self._asked("put", self._store.put(KIND, key, value, expires=kept.at + self._ttl))

    async def _asked(self, verb: str, asking: Awaitable[T]) -> T | None:
        """What the store says in time; a store that fails stands in nobody's way."""
        try:
            async with asyncio.timeout(self._patience):
                said = await asking
        except (StoreError, TimeoutError) as error:
            self._breaker.failed()
            self._failed(verb, error)
            return None
        self._breaker.failures = 0
        return said

    def _failed(self, verb: str, why: object) -> None:
        self.counters[verb] += 1
        log.warning("the cache of answers goes without its store (%s): %s", verb, why or "it does not answer")

    async def close(self) -> None:
        """What is on its way to the store arrives."""
        await asyncio.gather(*filter(under_way, self._writing))


def _wishes(headers: Sequence[Pair]) -> set[bytes]:
    """They may stand in one header or in several."""
    given = b",".join(values(headers, b"cache-control"))
    return {each.strip().lower() for each in given.split(b",")}


def _repeatable(inquiry: Inquiry) -> bool:
    """Asking it twice is asking the same. What was masked is no longer what the client said."""
    if any(said.action == "mask" for said in inquiry.call.verdicts):
        return False
    return inquiry.endpoint.dialect != "openai-responses" or not any(
        word in inquiry.body for word in _STATEFUL
    )


def _key(inquiry: Inquiry, candidates: Sequence[Candidate], whose: Sequence[str]) -> str:
    """A digest of all that an answer depends on: nobody finds a question or its answer by it who does not know both the
    question and whose it was."""
    endpoint = inquiry.endpoint
    asked = (
        inquiry.call.route, whose, endpoint.dialect, endpoint.tail, inquiry.query,
        passing.telling(inquiry.head.pairs, passthrough=any(each.provider.passthrough for each in candidates)),
        sorted(map(_served, candidates)),
    )  # fmt: skip
    digest = hashlib.sha256(ascii(asked).encode())  # which says itself where it ends
    digest.update(inquiry.body)
    return digest.hexdigest()


def _served(candidate: Candidate) -> tuple[Any, ...]:
    """What of a provider makes its answers what they are."""
    one = candidate.provider
    return (
        one.name, candidate.model, one.base_url, one.query, one.dialects, one.by_model, one.headers,
        sorted(candidate.quirks), one.max_output,
    )  # fmt: skip


def _head(kept: Kept, call: Call, now: float) -> Headers:
    head = [(b"content-type", kept.media.encode("latin-1")), (b"request-id", call.id.encode()),
            (b"x-gateway-cache", b"hit"), (b"age", b"%d" % max(0, now - kept.at))]  # fmt: skip
    if _media(head) == b"application/json":
        head.append((b"content-length", b"%d" % len(kept.body)))
    return head


def _media(head: Headers) -> bytes:
    return dict(head).get(b"content-type", b"").partition(b";")[0].strip().lower()


def _is_answer(head: Headers, body: bytes) -> bool:
    """It can be given to anybody as it is, and says nothing of an error under the status 200."""
    media = _media(head)
    if media not in _MEDIA or dict(head).get(b"content-encoding", b"identity") != b"identity":
        return False
    if media != b"application/json":
        return True
    try:
        said = _said.decode(body)
    except msgspec.DecodeError:
        return False
    return said.error is None and said.status in ("completed", "incomplete")
