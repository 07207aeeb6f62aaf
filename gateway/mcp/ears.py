"""What a server says on its own account, put as its client knows it: names, URIs, ids, and the client's era."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from msgspec import Raw, field

from gateway.call import Call
from gateway.mcp import eras, jsonrpc
from gateway.mcp.exchange import Exchange, Interpreter
from gateway.mcp.jsonrpc import Message
from gateway.mcp.peer import Peer
from gateway.mcp.resume import Place
from gateway.mcp.turn import Turn
from gateway.mcp.upstream import Hello, is_answer
from gateway.mcp.wire import Wire

CHANGES = {"toolsListChanged": "tools", "promptsListChanged": "prompts", "resourcesListChanged": "resources"}
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"

Finished = Callable[[Call, Peer, Wire, Place, Message], Awaitable[bytes]]  # the answer of a resumed request


def accepted(hello: Hello, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What of the filter the server says that it can do."""
    agreed: dict[str, Any] = {}
    for flag, capability in CHANGES.items():
        offered = hello.capabilities.get(capability)
        if wanted.get(flag) and isinstance(offered, Mapping) and offered.get("listChanged"):
            agreed[flag] = True
    resources = hello.capabilities.get("resources")
    if wanted.get("resourceSubscriptions") and isinstance(resources, Mapping) and resources.get("subscribe"):
        agreed["resourceSubscriptions"] = wanted["resourceSubscriptions"]
    return agreed


class Listener(Exchange):
    """Puts what a server says into the client's names, whatever its era."""

    subscription: bytes = b""
    finished: Finished | None = None

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if is_answer(message) and self.finished is not None and self.place is not None:
            data = await self.finished(self.call, self.peer, self.wire, self.place, message)
            await self.wire.event(data, id=self._event_id(event_id))
        else:
            await super().hear(message, event_id, retry)

    def _translate(self, message: Message) -> bytes:
        if message.method == ACKNOWLEDGED:
            return b""
        if message.method.endswith("list_changed"):
            self.interpreter.catalog.forget(self.server)
        elif message.method != UPDATED:
            return super()._translate(message)
        return jsonrpc.notification(message.method, self._params(message))

    def _params(self, message: Message) -> bytes:
        params = jsonrpc.members(message.params)
        meta = jsonrpc.members(bytes(params.get("_meta", b"")))
        meta.pop(eras.SUBSCRIPTION, None)
        if self.subscription:
            meta[eras.SUBSCRIPTION] = Raw(self.subscription)
        params.pop("_meta", None)
        if meta:
            params["_meta"] = Raw(jsonrpc.join(meta))
        if "uri" in params:
            uri = orjson.loads(bytes(params["uri"]))
            params["uri"] = Raw(orjson.dumps(self.interpreter.catalog.shown_uri(self.server, uri)))
        return jsonrpc.join(params) if params else b""


class Follower(Listener):
    """One server of a subscription: nothing of it is passed on before the acknowledgement."""

    accepted: dict[str, Any] = field(default_factory=dict)
    agreed: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[bytes] = field(default_factory=list)
    begun: bool = False

    async def hear(self, message: Message, event_id: str | None, retry: int | None) -> None:
        if message.method == ACKNOWLEDGED:
            tree = orjson.loads(bytes(jsonrpc.members(message.params).get("notifications", b"{}")))
            self.agree(tree if isinstance(tree, Mapping) else {})
            return
        if not (message.method.endswith("list_changed") or message.method == UPDATED):
            return
        data = self._translate(message)
        if self.begun:
            await self.wire.event(data)
        else:
            self.held.append(data)

    def agree(self, share: Mapping[str, Any]) -> None:
        self.accepted = dict(share)
        own = share.get("resourceSubscriptions")
        uris = (
            [self.interpreter.catalog.shown_uri(self.server, str(uri)) for uri in own]
            if isinstance(own, list)
            else []
        )
        if uris:
            self.accepted["resourceSubscriptions"] = uris
        self.agreed.set()

    async def open(self) -> None:
        held, self.held, self.begun = self.held, [], True
        for data in held:
            await self.wire.event(data)


class Subscription:
    """The servers of one subscription together."""

    def __init__(self, turn: Turn, interpreter: Interpreter) -> None:
        wire, subscription = turn.wire, turn.message.id
        self._ears = {
            name: Follower(wire, turn.call, turn.peer, interpreter, subscription=subscription)
            for name in interpreter.catalog.servers
        }
        for name, ear in self._ears.items():
            ear.server = name

    @property
    def ears(self) -> list[Follower]:
        return list(self._ears.values())

    def ear(self, name: str) -> Follower:
        return self._ears[name]

    def accepted(self) -> dict[str, Any]:
        agreed: dict[str, Any] = {}
        uris: list[str] = []
        for ear in self._ears.values():
            agreed |= {flag: True for flag in CHANGES if ear.accepted.get(flag)}
            uris += ear.accepted.get("resourceSubscriptions", ())
        if uris:
            agreed["resourceSubscriptions"] = uris
        return agreed

    async def open(self) -> None:
        for ear in self._ears.values():
            await ear.open()
