"""A call of a tool, a prompt or a resource: found, judged, passed on, judged again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from msgspec import Raw, structs

from gateway.call import Operation
from gateway.errors import Refused, UpstreamError
from gateway.mcp import disclosure, jsonrpc, links
from gateway.mcp.along import parameter_headers, traced
from gateway.mcp.bounds import Bounds
from gateway.mcp.bridge import Bridge
from gateway.mcp.catalog import Catalog
from gateway.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, Members, RpcError
from gateway.mcp.resume import Place
from gateway.mcp.server import Server
from gateway.mcp.sight import Sight
from gateway.mcp.tables import PROMPTS, RESOURCES, TOOLS, Entry, Kind
from gateway.mcp.taskids import TaskIds
from gateway.mcp.truncation import truncate
from gateway.mcp.turn import Metered, Subject, Turn, failed, judge, refused, unknown
from gateway.mcp.upstream import Answer, Ask, incoming
from gateway.policies import Inspector


@dataclass(frozen=True, slots=True)
class Named:
    """A method that names one thing."""

    subject: Subject
    kind: Kind
    key: str


METHODS = {
    "tools/call": Named("tool", TOOLS, "name"),
    "prompts/get": Named("prompt", PROMPTS, "name"),
    "resources/read": Named("resource", RESOURCES, "uri"),
}


class Relay:
    """Serves the methods that name one thing of one server."""

    def __init__(
        self,
        catalog: Catalog,
        sight: Sight,
        bounds: Bounds,
        ids: TaskIds,
        *,
        searching: bool,
    ) -> None:
        self._ids = ids
        self.bridge = Bridge()
        self._catalog = catalog
        self._sight = sight
        self._bounds = bounds
        self._searching = searching

    def serve(self, turn: Turn) -> Awaitable[Answer]:
        named = METHODS[turn.message.method]
        exposed = turn.message.tree.get(named.key)
        if not isinstance(exposed, str):
            raise RpcError(INVALID_PARAMS, f"params.{named.key} must be a string")
        if self._searching and named.kind is TOOLS:
            return self._disclosed(turn, exposed)
        return self._named(turn, named, exposed)

    async def _disclosed(self, turn: Turn, exposed: str) -> Answer:
        """The two tools that stand for all."""
        arguments = turn.message.tree.get("arguments")
        arguments = arguments if isinstance(arguments, Mapping) else {}
        if exposed == disclosure.SEARCH:
            return await self._search(turn, arguments)
        name = arguments.get("name")
        if exposed != disclosure.CALL or not isinstance(name, str):
            return unknown(turn, exposed)
        params = turn.params
        inner = jsonrpc.members(bytes(jsonrpc.members(bytes(params["arguments"])).get("arguments", b"{}")))
        params |= {"name": Raw(orjson.dumps(name)), "arguments": Raw(jsonrpc.join(inner))}
        tree = {**turn.message.tree, "name": name, "arguments": arguments.get("arguments", {})}
        message = structs.replace(turn.message, tree=tree, params=jsonrpc.join(params))
        return await self._named(structs.replace(turn, message=message), METHODS["tools/call"], name)

    async def _search(self, turn: Turn, arguments: Mapping[str, Any]) -> Answer:
        judge(turn)
        view = await self._catalog.view(turn.call, turn.peer, TOOLS)
        entries = await self._sight.filter(turn, TOOLS, view.entries)
        limit = arguments.get("limit")
        found = disclosure.search(
            entries, str(arguments.get("query", "")), limit if isinstance(limit, int) else disclosure.USUAL
        )
        result = disclosure.found(found)
        if turn.peer.modern:
            result["resultType"] = "complete"
        return Answer(orjson.dumps(result), modern=turn.peer.modern)

    async def _named(self, turn: Turn, named: Named, exposed: str) -> Answer:
        entry = self._catalog.known(turn.call, turn.peer, named.kind, exposed)
        if entry is None:
            entry = await self._find(turn, named, exposed)
        if entry is None:
            return unknown(turn, exposed)
        op = turn.operation(
            subject=named.subject,
            server=entry.server,
            name=entry.name,
            exposed=exposed,
            arguments=turn.message.tree.get("arguments"),
        )
        try:
            async with Metered(turn, op) as metered:
                refusal = self._sight.judge(turn, op, named.kind)
                if refusal is None and named.kind is TOOLS and not self._sight.examined(turn, entry):
                    refusal = await self._sight.examine(turn, op, entry)
                if refusal is not None:
                    metered.refusal = refusal
                    return unknown(turn, exposed)
                return await self._passed_on(turn, op, named, entry, metered)
        except Refused as exc:
            return refused(turn, exc.refusal)
        except UpstreamError as exc:
            return failed(turn, entry.server, exc)

    async def _find(self, turn: Turn, named: Named, exposed: str) -> Entry | None:
        if named.subject != "resource":
            return await self._catalog.find(turn.call, turn.peer, named.kind, exposed)
        own = await self._catalog.locate(turn.call, turn.peer, exposed)
        return Entry(own[0], own[1], exposed, b"", {}) if own is not None else None

    async def _passed_on(
        self, turn: Turn, op: Operation, named: Named, entry: Entry, metered: Metered
    ) -> Answer:
        refusal = self._bounds.arguments(turn.call, op)
        if refusal is not None:
            raise Refused(refusal)
        guard, limiter = turn.policies.guard, turn.policies.ratelimit
        guard = guard if guard is not None and guard.reads_arguments and op.subject == "tool" else None
        changed = None
        if guard is not None or op.name != op.exposed:
            changed = await self._changed(turn, op, named, guard)
        if limiter is not None:
            metered.reservation = await limiter.reserve(turn.call, op)
        server = self._catalog.servers[entry.server]
        answer = metered.answer = await self._asked(turn, op, server, entry, changed, metered)
        return await self.judged(turn, op, server, answer)

    async def _changed(
        self, turn: Turn, op: Operation, named: Named, guard: Inspector | None
    ) -> Members | None:
        """The parameters for the server, where they are not those of the client."""
        changed: Members = {}
        if guard is not None:
            kept = await guard.arguments(turn.call, op)
            if kept is not op.arguments:
                op.arguments = kept
                changed["arguments"] = Raw(orjson.dumps(kept))
        if op.name != op.exposed:
            changed[named.key] = Raw(orjson.dumps(op.name))
        return turn.params | changed if changed else None

    async def _asked(
        self,
        turn: Turn,
        op: Operation,
        server: Server,
        entry: Entry,
        changed: Members | None,
        metered: Metered,
    ) -> Answer:
        """The server's answer, at the last attempt. Raises UpstreamError."""
        turn.server = server.name
        if turn.peer.session:
            turn.place = Place(server.name, "", op.method, op.exposed)
        ask = _ask(turn, op, entry, changed)
        repeats = self._catalog.listings.repeats
        repeats.called(server)
        attempt = 0
        while True:
            began = time.perf_counter_ns()
            try:
                answer = await server.upstream.ask(ask, turn)
                if answer.modern and not turn.peer.modern and b'"input_required"' in answer.result:
                    answer = await self.bridge.drive(turn, server.upstream, ask, answer)
                return answer
            except UpstreamError as exc:
                if turn.wire.started:
                    raise
                failed = exc
            finally:
                turn.call.answered = time.perf_counter_ns()
                metered.upstream_ns += turn.call.answered - began
                if turn.call.timed:
                    turn.call.took("attempt", began, op.server)
            await repeats.wait(server, failed, attempt, safe=_repeatable(server, op, entry))
            attempt += 1

    async def judged(self, turn: Turn, op: Operation, server: Server, answer: Answer) -> Answer:
        """What the client gets of a server's answer."""
        if not answer.result:
            return Answer(b"", _error_for(turn, answer.error), turn.peer.modern)
        result = answer.result
        if not result.startswith(b"{"):
            raise UpstreamError(f"server {server.name!r} sent a result that is no object")
        guard = turn.policies.guard
        if (
            (guard is not None and guard.reads_results)
            or server.max_rows
            or len(result) > server.max_bytes > 0
        ):
            result = await self._inspected(turn, op, server, result)
        result = self._ids.outward(turn.call, server.name, result)
        if b'"uri"' in result:
            result = self._linked(op, result)
        if turn.peer.modern != answer.modern:
            result = incoming(op.method, result, modern_client=turn.peer.modern)
        return Answer(result, b"", turn.peer.modern)

    def _linked(self, op: Operation, result: bytes) -> bytes:
        """What is read is called as it was asked for; what is linked to, as it can be asked for."""
        renamed = op.subject == "resource" and op.name != op.exposed
        if not renamed and not self._catalog.prefixes_uris:
            return result

        def shown(uri: str) -> str:
            return op.exposed if renamed and uri == op.name else self._catalog.shown_uri(op.server, uri)

        return links.outward(result, shown)

    async def resumed(self, turn: Turn, place: Place, answer: Answer) -> Answer:
        """The answer of a request whose stream had broken, judged as it would have been there."""
        named = METHODS.get(place.method)
        server = self._catalog.servers[place.server]
        if named is None:
            return answer
        entry = await self._find(turn, named, place.exposed)
        if entry is None or entry.server != place.server:
            raise RpcError(INVALID_PARAMS, "what was asked is no longer there")
        op = turn.operation(
            subject=named.subject, server=entry.server, name=entry.name, exposed=place.exposed
        )
        return await self.judged(turn, op, server, answer)

    async def _inspected(self, turn: Turn, op: Operation, server: Server, result: bytes) -> bytes:
        """What scanners and limits leave of a result; the bytes themselves where that is all of it."""
        try:
            tree = orjson.loads(result)
        except orjson.JSONDecodeError as exc:
            raise UpstreamError(f"server {server.name!r} sent what is no JSON: {exc}") from exc
        inner = tree.get("result") if op.subject == "task" else None
        # A finished task of the modern era holds its result.
        given = kept = inner if isinstance(inner, dict) else tree
        if turn.policies.guard is not None:
            kept = await turn.policies.guard.result(turn.call, op, given)
        if server.max_rows or server.max_bytes:
            kept = truncate(kept, max_rows=server.max_rows, max_bytes=server.max_bytes, size=len(result))
        if kept is given:
            return result
        return orjson.dumps(kept if given is tree else {**tree, "result": kept})


def _ask(turn: Turn, op: Operation, entry: Entry, changed: Members | None) -> Ask:
    """What goes to the server, and along with it."""
    call, peer, message = turn.call, turn.peer, turn.message
    ask = Ask(call, peer, op.method, message.params, changed, op.name, ident=message.id)
    if peer.modern or entry.headers:
        ask.headers = parameter_headers(turn, op, entry, changed)
    if op.meta:
        ask.tracked = "progressToken" in op.meta
    if op.meta or call.trace_id:
        ask.traceparent = traced(turn, op)
    return ask


def _repeatable(server: Server, op: Operation, entry: Entry) -> bool:
    """Reads are, and tools that say so themselves or that the file names."""
    hints = entry.tree.get("annotations")
    hints = hints if isinstance(hints, Mapping) else {}
    return (
        op.subject != "tool"
        or op.name in server.retries.tools
        or hints.get("idempotentHint") is True
        or hints.get("readOnlyHint") is True
    )


def _error_for(turn: Turn, error: bytes) -> bytes:
    """Codes that one era only knows are said in the other's way."""
    parts = jsonrpc.members(error)
    if turn.peer.modern and bytes(parts.get("code", b"")) == b"%d" % RESOURCE_NOT_FOUND:
        return jsonrpc.join({**parts, "code": Raw(b"%d" % INVALID_PARAMS)})
    return error or jsonrpc.error_value(INTERNAL_ERROR, "the server sent neither result nor error")
