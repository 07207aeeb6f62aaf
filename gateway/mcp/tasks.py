"""Tasks of many servers: asked for, cancelled and listed by the ids that their own principal was given."""

from __future__ import annotations

import orjson
from msgspec import Raw

from gateway.errors import Refused, UpstreamError
from gateway.mcp import jsonrpc
from gateway.mcp.catalog import Catalog
from gateway.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, Members, RpcError
from gateway.mcp.listings import PAGES, Deaf
from gateway.mcp.relay import Relay
from gateway.mcp.server import Server
from gateway.mcp.taskids import TaskIds
from gateway.mcp.turn import Metered, Turn, judge, refused
from gateway.mcp.upstream import Answer, Ask, plainly

METHODS = ("tasks/get", "tasks/result", "tasks/cancel", "tasks/update")


class Tasks:
    """Serves the methods that name one task, and the list of a session's tasks."""

    def __init__(self, catalog: Catalog, relay: Relay, ids: TaskIds) -> None:
        self._catalog = catalog
        self._relay = relay
        self._ids = ids

    async def serve(self, turn: Turn) -> Answer:
        exposed = turn.message.tree.get("taskId")
        name, own = self._ids.own(turn.call, exposed)
        server = self._catalog.servers.get(name)
        if server is None:
            raise RpcError(INVALID_PARAMS, "Unknown task")
        op = turn.operation(subject="task", server=name, name=own, exposed=str(exposed))
        try:
            async with Metered(turn, op) as metered:
                authz = turn.policies.authz
                refusal = authz.decide(turn.call, op) if authz is not None else None
                if refusal is not None:
                    raise Refused(refusal)
                params = {**turn.params, "taskId": Raw(orjson.dumps(own))}
                turn.server = name
                ask = Ask(turn.call, turn.peer, op.method, changed=params, name=own, ident=turn.message.id)
                metered.answer = await server.upstream.ask(ask, turn)
                return await self._relay.judged(turn, op, server, metered.answer)
        except Refused as exc:
            return refused(turn, exc.refusal)
        except UpstreamError as exc:
            raise RpcError(INTERNAL_ERROR, f"The server could not be reached: {plainly(exc)}.") from exc

    async def listed(self, turn: Turn) -> Answer:
        """Only of sessions that are this client's alone: a shared one would show what others have begun."""
        judge(turn)
        tasks: list[bytes] = []
        for name in turn.peer.handles:
            server = self._catalog.servers.get(name)
            if (
                server is not None
                and "tasks" in (await server.upstream.hello(turn.call, turn.peer)).capabilities
            ):
                tasks += await self._all(turn, server)
        return Answer(b'{"tasks":[' + b",".join(tasks) + b"]}")

    async def _all(self, turn: Turn, server: Server) -> list[bytes]:
        tasks: list[bytes] = []
        params: Members = {}
        for _ in range(PAGES):
            try:
                ask = Ask(turn.call, turn.peer, "tasks/list", changed=params)
                answer = await server.upstream.ask(ask, Deaf())
            except UpstreamError:
                break
            parts = jsonrpc.members(self._ids.outward(turn.call, server.name, answer.result))
            tasks += map(bytes, jsonrpc.items(bytes(parts.get("tasks", b"[]"))))
            if "nextCursor" not in parts:
                break
            params = {"cursor": parts["nextCursor"]}
        return tasks
