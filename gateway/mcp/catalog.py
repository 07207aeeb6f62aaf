"""What all servers offer, as one list: merged in the file's order, complete, with names that follow from it.

Policy comes after it, for each request.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.call import Call
from gateway.errors import GatewayError
from gateway.mcp import names
from gateway.mcp.listings import KEPT, Kept, Listings, Need
from gateway.mcp.peer import Peer
from gateway.mcp.server import Server
from gateway.mcp.tables import RESOURCES, TEMPLATES, Entry, Kind, Listing, Table, merge

_ROUTE_KEPT = 5.0  # a table found is used for so long before its parts are looked at again
_NOWHERE = (0.0, Table((), {}))
_TRIES: tuple[Need, ...] = ("call", "name")


@dataclass(frozen=True, slots=True)
class View:
    table: Table
    missing: Mapping[str, GatewayError]  # server → why
    ttl_ms: int

    @property
    def entries(self) -> Sequence[Entry]:
        """Those of the servers that answered. The others keep their places in the table, so that no name changes hands."""
        if not self.missing:
            return self.table.entries
        return [entry for entry in self.table.entries if entry.server not in self.missing]


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
        self._mode = prefix
        self._prefixes = {server.name: server.prefix for server in servers if server.prefix}
        self._clock = clock
        self._tables: OrderedDict[tuple[bytes, ...], Table] = OrderedDict()
        self._per_caller = any(server.upstream.per_caller for server in servers)
        self._routes: dict[tuple[str, str, str], tuple[float, Table]] = {}
        self._prefixed: set[names.Own] = set()  # resources whose plain URI is another server's
        self.listings = Listings(servers, deadline=deadline, clock=clock, changed=self._routes.clear)

    async def view(self, call: Call, peer: Peer, kind: Kind, need: Need = "list") -> View:
        outcomes = await self.listings.all(call, peer, kind, need)
        missing = {name: each for name, each in outcomes.items() if isinstance(each, GatewayError)}
        there = {name: each for name, each in outcomes.items() if isinstance(each, Kept)}
        last = {name: self.listings.last(call, peer, kind, self.servers[name]) for name in missing}
        known = [(name, each.listing) for name in outcomes if (each := there.get(name) or last.get(name))]
        left = [max(0, int((each.fresh - self._clock()) * 1000)) for each in there.values()]
        return View(self._table(kind, known), missing, min(left, default=0))

    def known(self, call: Call, peer: Peer, kind: Kind, exposed: str) -> Entry | None:
        """The entry of this name, where it was found a moment ago."""
        until, table = self._routes.get(self._route(call, peer, kind), _NOWHERE)
        return table.by_name.get(exposed) if self._clock() < until else None

    async def find(self, call: Call, peer: Peer, kind: Kind, exposed: str) -> Entry | None:
        """The entry of this name; lists are fetched only where it is not known yet."""
        known = self.known(call, peer, kind, exposed)
        if known is not None:
            return known
        for need in _TRIES:
            entry = (await self._found(call, peer, kind, need)).by_name.get(exposed)
            if entry is not None:
                return entry
        return None

    async def locate(self, call: Call, peer: Peer, uri: str) -> names.Own | None:
        """Which server has this resource, and what it calls it: listed, prefixed, or by a template."""
        for need in _TRIES:
            entry = (await self._found(call, peer, RESOURCES, need)).by_name.get(uri)
            if entry is not None:
                return entry.server, entry.name
            own = names.split_uri(uri, self.servers)
            if own is not None:
                return own
            for entry in (await self._found(call, peer, TEMPLATES, need)).entries:
                if names.matches(entry.exposed, uri):
                    return entry.server, uri if entry.name == entry.exposed else uri.partition("+")[2]
        return None

    async def _found(self, call: Call, peer: Peer, kind: Kind, need: Need) -> Table:
        table = (await self.view(call, peer, kind, need)).table
        if len(self._routes) >= KEPT:
            self._routes.clear()
        self._routes[self._route(call, peer, kind)] = self._clock() + _ROUTE_KEPT, table
        return table

    def _route(self, call: Call, peer: Peer, kind: Kind) -> tuple[str, str, str]:
        return kind.method, call.principal.id if self._per_caller else "", peer.session

    @property
    def prefixes_uris(self) -> bool:
        return self._mode == "always" or bool(self._prefixed)

    def shown_uri(self, server: str, uri: str) -> str:
        """What clients call it: with its server's name where another server lists the same, or always."""
        prefixed = self._mode == "always" or (server, uri) in self._prefixed
        return names.prefix_uri(server, uri) if prefixed else uri

    def forget(self, server: str) -> None:
        """The server said that its lists changed."""
        self._routes.clear()
        self.listings.forget(server)

    def _table(self, kind: Kind, listings: Sequence[tuple[str, Listing]]) -> Table:
        key = (
            kind.method.encode(),
            *(part for name, each in listings for part in (name.encode(), each.digest)),
        )
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = merge(kind, listings, mode=self._mode, prefixes=self._prefixes)
            if len(self._tables) > KEPT:
                self._tables.popitem(last=False)
            if kind is RESOURCES:
                self._prefixed |= {
                    (each.server, each.name) for each in table.entries if each.exposed != each.name
                }
        return table
