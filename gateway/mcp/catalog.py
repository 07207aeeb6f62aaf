"""What all servers offer, as one list: fetched at the same time, merged in the file's order, complete.

What a server listed is kept raw and shared by content; names follow from it; policy comes after the cache, for each
request. A server that does not answer in time is named as missing, and is not waited for again for a while.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.call import Call
from gateway.errors import Refused, UpstreamError, UpstreamTimeout
from gateway.mcp import jsonrpc, names
from gateway.mcp.jsonrpc import Members, Message
from gateway.mcp.peer import Peer
from gateway.mcp.repeats import Repeats
from gateway.mcp.server import Server
from gateway.mcp.tables import RESOURCES, TEMPLATES, Entry, Kind, Listing, Table, merge
from gateway.mcp.upstream import Answer, Ask

PAGES = 500
ENTRIES = 20_000
ROUTE_TTL = 300.0  # how long a list serves to find a tool's server
_ROUTE_KEPT = 5.0  # a table found is used for so long before its parts are looked at again
COOL_DOWN = 5.0  # a server that failed is left alone for so long
_KEPT = 4096
_NOWHERE = (0.0, Table((), {}))


@dataclass(frozen=True, slots=True)
class View:
    table: Table
    missing: Mapping[str, str]  # server → why
    ttl_ms: int

    @property
    def entries(self) -> Sequence[Entry]:
        """Those of the servers that answered. The others keep their places in the table, so that no name changes hands."""
        if not self.missing:
            return self.table.entries
        return [entry for entry in self.table.entries if entry.server not in self.missing]


@dataclass(slots=True)
class _Kept:
    listing: Listing
    fetched: float
    fresh: float


class Catalog:
    """`deadline` bounds how long any one server can delay a list."""

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        prefix: names.Mode = "auto",
        deadline: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.servers = {server.name: server for server in servers}
        self.repeats = Repeats(servers)
        self._mode = prefix
        self._prefixes = {server.name: server.prefix for server in servers if server.prefix}
        self.deadline = deadline
        self._clock = clock
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()
        self._listings: OrderedDict[bytes, Listing] = OrderedDict()
        self._tables: OrderedDict[tuple[bytes, ...], Table] = OrderedDict()
        self._per_caller = any(server.upstream.per_caller for server in servers)
        self._routes: dict[tuple[str, str, str], tuple[float, Table]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._asking: dict[tuple[str, ...], asyncio.Task[_Kept | str]] = {}  # beside calls
        self._prefixed: set[names.Own] = set()  # resources whose plain URI is another server's

    async def view(self, call: Call, peer: Peer, kind: Kind) -> View:
        """The list as it is now."""
        return await self._view(call, peer, kind, stale=False)

    def known(self, call: Call, peer: Peer, kind: Kind, exposed: str) -> Entry | None:
        """The entry of this name, where it was found a moment ago."""
        until, table = self._routes.get(self._route(call, peer, kind), _NOWHERE)
        return table.by_name.get(exposed) if self._clock() < until else None

    async def find(self, call: Call, peer: Peer, kind: Kind, exposed: str) -> Entry | None:
        """The entry of this name; lists are fetched only where it is not known yet."""
        known = self.known(call, peer, kind, exposed)
        if known is not None:
            return known
        view = await self._view(call, peer, kind, stale=True)
        entry = view.table.by_name.get(exposed)
        if entry is None and self._may_have_changed(call, peer, kind):
            view = await self._view(call, peer, kind, stale=False)
            entry = view.table.by_name.get(exposed)
        if len(self._routes) >= _KEPT:
            self._routes.clear()
        self._routes[self._route(call, peer, kind)] = self._clock() + _ROUTE_KEPT, view.table
        return entry

    def _route(self, call: Call, peer: Peer, kind: Kind) -> tuple[str, str, str]:
        return kind.method, call.principal.id if self._per_caller else "", peer.session

    async def locate(self, call: Call, peer: Peer, uri: str) -> names.Own | None:
        """Which server has this resource, and what it calls it: listed, prefixed, by a template, or the only one."""
        entry = await self.find(call, peer, RESOURCES, uri)
        if entry is not None:
            return entry.server, entry.name
        own = names.split_uri(uri, self.servers)
        if own is not None:
            return own
        templates = await self._view(call, peer, TEMPLATES, stale=True)
        for entry in templates.table.entries:
            if names.matches(entry.exposed, uri):
                return entry.server, uri if entry.name == entry.exposed else uri.partition("+")[2]
        return None

    @property
    def prefixes_uris(self) -> bool:
        return self._mode == "always" or bool(self._prefixed)

    def shown_uri(self, server: str, uri: str) -> str:
        """What clients call it: with its server's name where another server lists the same, or always."""
        prefixed = self._mode == "always" or (server, uri) in self._prefixed
        return names.prefix_uri(server, uri) if prefixed else uri

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()

    def forget(self, server: str) -> None:
        """The server said that its lists changed."""
        self._routes.clear()
        for key, kept in self._kept.items():
            if key[0] == server:
                kept.fresh = 0.0

    # -- one server

    def _key(self, call: Call, server: Server, peer: Peer, kind: Kind) -> tuple[str, ...]:
        who = call.principal.id if server.upstream.per_caller else ""
        return server.name, who, peer.session if server.name in peer.handles else "", kind.method

    def _may_have_changed(self, call: Call, peer: Peer, kind: Kind) -> bool:
        now = self._clock()
        return any(
            (kept := self._kept.get(self._key(call, server, peer, kind))) is None
            or now - kept.fetched > COOL_DOWN
            for server in self.servers.values()
        )

    async def _view(self, call: Call, peer: Peer, kind: Kind, *, stale: bool) -> View:
        servers = list(self.servers.values())
        outcomes = await self._all(call, peer, kind, servers, stale=stale)
        missing = {
            server.name: outcome
            for server, outcome in zip(servers, outcomes, strict=True)
            if isinstance(outcome, str)
        }
        kept = {
            server.name: outcome
            for server, outcome in zip(servers, outcomes, strict=True)
            if isinstance(outcome, _Kept)
        }
        last = {name: self._kept.get(self._key(call, self.servers[name], peer, kind)) for name in missing}
        known = [(name, each.listing) for name in self.servers if (each := kept.get(name) or last.get(name))]
        left = [max(0, int((each.fresh - self._clock()) * 1000)) for each in kept.values()]
        table = self._table(kind, known)
        return View(table, missing, min(left, default=0))

    async def _all(
        self, call: Call, peer: Peer, kind: Kind, servers: Sequence[Server], *, stale: bool
    ) -> list[_Kept | str]:
        known = [self._known(call, peer, kind, server, stale=stale) for server in servers]
        waiting = [server for server, outcome in zip(servers, known, strict=True) if outcome is None]
        if len(waiting) == 1:
            fetched = [await self._fetch(call, peer, kind, waiting[0])]
        else:
            fetched = await asyncio.gather(*(self._fetch(call, peer, kind, server) for server in waiting))
        rest = iter(fetched)
        return [outcome if outcome is not None else next(rest) for outcome in known]

    def _known(
        self, call: Call, peer: Peer, kind: Kind, server: Server, *, stale: bool
    ) -> _Kept | str | None:
        """What need not be fetched: the list while it is fresh, or the reason why the server is left alone. With `stale` the
        caller is a call, which waits for no server that has failed: that is asked again beside it."""
        key = self._key(call, server, peer, kind)
        kept = self._kept.get(key)
        now = self._clock()
        if kept is not None and (now < kept.fresh or (stale and now - kept.fetched < ROUTE_TTL)):
            return kept
        until, why = self._failed.get(server.name, (0.0, ""))
        if why and stale and now >= until and key not in self._asking:
            task = self._asking[key] = asyncio.create_task(self._fetch(call, peer, kind, server))
            task.add_done_callback(lambda _: self._asking.pop(key))
        return why if now < until or (why and stale) else None

    async def _fetch(self, call: Call, peer: Peer, kind: Kind, server: Server) -> _Kept | str:
        """The list, empty where the server has no such thing, or why it is missing."""
        try:
            async with asyncio.timeout(self.deadline):
                hello = await server.upstream.hello(call, peer)
                if hello.capabilities and kind.capability not in hello.capabilities:
                    listing, ttl = self._listing([]), ROUTE_TTL
                else:
                    listing, ttl = await self._pages(call, peer, kind, server)
        except TimeoutError:
            return self._fail(server, f"no answer within {self.deadline:g} s")
        except UpstreamTimeout as exc:
            return self._fail(server, str(exc))
        except Refused as exc:
            return str(exc)  # of this caller only: no reason to leave the server alone
        except (UpstreamError, ValueError, jsonrpc.RpcError) as exc:
            return self._fail(server, str(exc))
        self._failed.pop(server.name, None)
        self._routes.clear()
        now = self._clock()
        kept = self._kept[self._key(call, server, peer, kind)] = _Kept(listing, now, now + ttl)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    def _fail(self, server: Server, why: str) -> str:
        self._failed[server.name] = (self._clock() + COOL_DOWN, why)
        return why

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
        listing = self._listings.get(digest)
        if listing is None:
            pairs = [(raw, tree) for raw in raws if isinstance(tree := orjson.loads(raw), dict)]
            listing = Listing(digest, tuple(raw for raw, _ in pairs), tuple(tree for _, tree in pairs))
            self._listings[digest] = listing
            if len(self._listings) > _KEPT:
                self._listings.popitem(last=False)
        return listing

    # -- all servers

    def _table(self, kind: Kind, listings: Sequence[tuple[str, Listing]]) -> Table:
        key = (
            kind.method.encode(),
            *(part for name, each in listings for part in (name.encode(), each.digest)),
        )
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = merge(kind, listings, mode=self._mode, prefixes=self._prefixes)
            if len(self._tables) > _KEPT:
                self._tables.popitem(last=False)
            if kind is RESOURCES:
                self._prefixed |= {
                    (each.server, each.name) for each in table.entries if each.exposed != each.name
                }
        return table


class Deaf:
    """Hears nothing: a list has nothing to say on the way."""

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        return None


def _ttl(page: Members) -> float:
    raw = bytes(page.get("ttlMs", b"0"))
    return min(3600.0, int(raw) / 1000) if raw.isdigit() else 0.0
