"""What each server lists: fetched once for all who ask at the same time, kept raw, and shared by content.

Who waits for a server, and how long, depends on what for. A list waits as long as its deadline. A call waits for no server
that has failed, because most names are found without it. Only who asks for a name that nobody is known to have waits for
whoever may have it, as long as a start may take: what is there is never said to be unknown because its server is slow.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from gateway.call import Call
from gateway.errors import GatewayError, Refused, UpstreamError, UpstreamTimeout
from gateway.mcp import jsonrpc
from gateway.mcp.jsonrpc import Members, Message
from gateway.mcp.peer import Peer
from gateway.mcp.repeats import Repeats
from gateway.mcp.server import Server
from gateway.mcp.tables import Kind, Listing
from gateway.mcp.upstream import Answer, Ask

PAGES = 500
ENTRIES = 20_000
ROUTE_TTL = 300.0  # how long a list serves to find a tool's server
COOL_DOWN = 5.0  # a server that failed is left alone for so long
START = 60.0  # the longest that a server may take from its start to the end of its first list
KEPT = 4096

_NEVER = 0.0, None
Need = Literal["list", "call", "name"]
_Key = tuple[str, str, str, str]  # server, caller, session, method


@dataclass(slots=True)
class Kept:
    listing: Listing
    fetched: float
    fresh: float  # until then; 0 where the server said that it has changed

    def serves(self, need: Need) -> float:
        """Until when it need not be fetched again."""
        if need == "call":
            return self.fetched + ROUTE_TTL
        return max(self.fresh, self.fetched + COOL_DOWN) if need == "name" and self.fresh else self.fresh


class Listings:
    """Of all `servers`; `changed` is called when there is a new one."""

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        deadline: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._servers = servers
        self.repeats = Repeats(servers)
        self.deadline = deadline
        self._clock = clock
        self._changed = changed
        self._kept: OrderedDict[_Key, Kept] = OrderedDict()
        self._shared: OrderedDict[bytes, Listing] = OrderedDict()
        self._failed: dict[tuple[str, str], tuple[float, GatewayError]] = {}
        self._fetching: dict[_Key, asyncio.Task[Kept | GatewayError]] = {}
        self._forgotten: Counter[str] = Counter()

    async def all(self, call: Call, peer: Peer, kind: Kind, need: Need) -> dict[str, Kept | GatewayError]:
        """Each server's list, or why it is missing."""
        known = {server.name: self._known(call, peer, kind, server, need) for server in self._servers}
        waiting = [server for server in self._servers if known[server.name] is None]
        works = [self._awaited(call, peer, kind, server, need) for server in waiting]
        outcomes = [await works[0]] if len(works) == 1 else await asyncio.gather(*works)
        fetched = dict(zip((server.name for server in waiting), outcomes, strict=True))
        return {name: outcome or fetched[name] for name, outcome in known.items()}

    def last(self, call: Call, peer: Peer, kind: Kind, server: Server) -> Kept | None:
        """The last list that there was."""
        return self._kept.get(_key(call, peer, kind, server))

    def failing(self, call: Call) -> dict[str, GatewayError]:
        """The servers that did not answer when they were asked last, and why."""
        failed = {server.name: self._failed.get(_whose(call, server)) for server in self._servers}
        return {name: last[1] for name, last in failed.items() if last is not None}

    def rests(self, call: Call, server: Server) -> bool:
        """It failed a moment ago, and is left alone."""
        return self._clock() < self._failed.get(_whose(call, server), _NEVER)[0]

    def fail(self, call: Call, server: Server, why: GatewayError) -> None:
        if len(self._failed) >= KEPT:
            self._failed.clear()
        self._failed[_whose(call, server)] = self._clock() + COOL_DOWN, why

    def forget(self, server: str) -> None:
        """The server said that its lists changed."""
        self._forgotten[server] += 1
        for key, kept in self._kept.items():
            if key[0] == server:
                kept.fresh = 0.0

    def close(self) -> None:
        for task in self._fetching.values():
            task.cancel()

    # -- one server

    def _known(
        self, call: Call, peer: Peer, kind: Kind, server: Server, need: Need
    ) -> Kept | GatewayError | None:
        """What is not waited for: a list that still serves, or the reason why its server is left alone."""
        kept, now = self._kept.get(_key(call, peer, kind, server)), self._clock()
        if kept is not None and now < kept.serves(need):
            return kept
        failed = self._failed.get(_whose(call, server))
        if failed is None or need == "name":
            return None
        until, why = failed
        if now < until:
            return why
        if need == "list":
            return None
        self.fail(call, server, why)
        self._begun(call, peer, kind, server)  # beside the call: the next one may find it again
        return why

    async def _awaited(
        self, call: Call, peer: Peer, kind: Kind, server: Server, need: Need
    ) -> Kept | GatewayError:
        """Who joins a fetch that then fails asks once more: another caller, or an instance that was frozen in between, may
        have been the reason."""
        key = _key(call, peer, kind, server)
        for _ in range(2):
            joined = key in self._fetching
            task = self._begun(call, peer, kind, server)
            await asyncio.wait({task}, timeout=None if need == "name" else self.deadline)
            late = UpstreamTimeout(f"no answer within {self.deadline:g} s")
            outcome = task.result() if task.done() else late
            if isinstance(outcome, Kept) or outcome is late or not joined:
                break
        if isinstance(outcome, UpstreamError):  # what was refused to this caller is no fault of the server
            self.fail(call, server, outcome)
        return outcome

    def _begun(self, call: Call, peer: Peer, kind: Kind, server: Server) -> asyncio.Task[Kept | GatewayError]:
        """The fetch that is under way, or a new one. It goes on when whoever waits for it gives up."""
        key = _key(call, peer, kind, server)
        task = self._fetching.get(key)
        if task is None:
            task = self._fetching[key] = asyncio.create_task(self._fetch(key, call, peer, kind, server))
        return task

    async def _fetch(
        self, key: _Key, call: Call, peer: Peer, kind: Kind, server: Server
    ) -> Kept | GatewayError:
        try:
            async with asyncio.timeout(START):
                kept = await self._read(call, peer, kind, server)
        except TimeoutError:
            return UpstreamTimeout(f"no answer within {START:g} s")
        except (UpstreamError, Refused) as exc:
            return exc
        except (ValueError, jsonrpc.RpcError) as exc:
            return UpstreamError(str(exc))
        finally:
            del self._fetching[key]
        self._failed.pop(_whose(call, server), None)
        self._kept[key] = kept
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self._changed()
        return kept

    async def _read(self, call: Call, peer: Peer, kind: Kind, server: Server) -> Kept:
        """The list, empty where the server has no such thing."""
        hello = await server.upstream.hello(call, peer)
        forgotten = self._forgotten[server.name]
        if hello.capabilities and kind.capability not in hello.capabilities:
            listing, ttl = self._listing([]), ROUTE_TTL
        else:
            listing, ttl = await self._pages(call, peer, kind, server)
        now = self._clock()
        changed = forgotten != self._forgotten[server.name]  # while it was read
        return Kept(listing, now, 0.0 if changed else now + ttl)

    async def _pages(self, call: Call, peer: Peer, kind: Kind, server: Server) -> tuple[Listing, float]:
        raws: list[bytes] = []
        ttl, cursor, seen = float("inf"), None, set()
        for _ in range(PAGES):
            params: Members = {} if cursor is None else {"cursor": cursor}
            page = await self.fetch_page(call, peer, kind, server, params)
            raws += map(bytes, jsonrpc.items(bytes(page.get(kind.member, b"[]"))))
            ttl = min(ttl, _ttl(page))
            cursor = page.get("nextCursor")
            if cursor is None or bytes(cursor) == b"null" or bytes(cursor) in seen or len(raws) > ENTRIES:
                break
            seen.add(bytes(cursor))
        return self._listing(raws), ttl

    async def fetch_page(
        self, call: Call, peer: Peer, kind: Kind, server: Server, params: Members
    ) -> Members:
        ask = Ask(call, peer, kind.method, changed=params)
        answer = await self._asked(server, ask)
        if answer.error and _code(answer.error) == jsonrpc.METHOD_NOT_FOUND:
            return {}  # many offer resources, and know nothing of templates
        if answer.error or not answer.result:
            raise UpstreamError(
                f"server {server.name!r} refused {kind.method}: {answer.error[:200].decode(errors='replace')}"
            )
        return jsonrpc.members(answer.result)

    async def _asked(self, server: Server, ask: Ask) -> Answer:
        self.repeats.called(server)
        for attempt in itertools.count():
            try:
                return await server.upstream.ask(ask, Deaf())
            except UpstreamError as exc:
                await self.repeats.wait(server, exc, attempt, safe=True)
        raise AssertionError  # the count has no end

    def _listing(self, raws: list[bytes]) -> Listing:
        digest = hashlib.sha256(b"\0".join(raws)).digest()
        listing = self._shared.get(digest)
        if listing is None:
            pairs = [(raw, tree) for raw in raws if isinstance(tree := orjson.loads(raw), dict)]
            listing = Listing(digest, tuple(raw for raw, _ in pairs), tuple(tree for _, tree in pairs))
            self._shared[digest] = listing
            if len(self._shared) > KEPT:
                self._shared.popitem(last=False)
        return listing


class Deaf:
    """Hears nothing: a list has nothing to say on the way."""

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        return None


def _key(call: Call, peer: Peer, kind: Kind, server: Server) -> _Key:
    """Whose list it is: every caller's, unless the server tells callers or their sessions apart."""
    return *_whose(call, server), peer.session if server.name in peer.handles else "", kind.method


def _whose(call: Call, server: Server) -> tuple[str, str]:
    return server.name, call.principal.id if server.upstream.per_caller else ""


def _code(error: bytes) -> object:
    """Raises ValueError."""
    tree = orjson.loads(error)
    return tree.get("code") if isinstance(tree, dict) else None


def _ttl(page: Members) -> float:
    raw = bytes(page.get("ttlMs", b"0"))
    return min(3600.0, int(raw) / 1000) if raw.isdigit() else 0.0
