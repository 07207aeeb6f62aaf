"""Kill switches: what is off, everywhere, within a second.

A switch is a small document in the store. While calls run, the store is read about once a second; an instance that was idle
or frozen reads it before its first call. When reading keeps failing, nobody can know what is off, so after a grace time everything is.
A switch that is thrown also ends the calls that are running.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from gateway.call import Call, Operation
from gateway.errors import StoreError
from gateway.refusals import Refusal
from gateway.stores.protocols import Documents

log = logging.getLogger("gateway")
Kind = Literal["user", "key", "model", "tool", "server", "route"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DOCUMENTS = "switch"
PAGE = 1000


class Switch(Struct, frozen=True):
    kind: Kind
    name: str
    reason: str = ""
    until: float | None = None  # seconds since the epoch
    since: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.name}"

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "reason": self.reason, "until": self.until, "since": self.since}  # fmt: skip

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Switch:
        return cls(value["kind"], value["name"], value.get("reason", ""), value.get("until"), value.get("since", 0.0))  # fmt: skip


async def throw(store: Documents, switch: Switch) -> None:
    await store.put(DOCUMENTS, switch.key, switch.document(), expires=switch.until)


async def restore(store: Documents, kind: Kind, name: str) -> bool:
    """False where nothing was switched off."""
    key = f"{kind}:{name}"
    if await store.get(DOCUMENTS, key) is None:
        return False
    await store.delete(DOCUMENTS, key)
    return True


async def thrown(store: Documents) -> list[Switch]:
    found: list[Switch] = []
    after = ""
    while page := await store.list(DOCUMENTS, after=after, limit=PAGE):
        found += [Switch.of(item.value) for _, item in page]
        after = page[-1][0]
        if len(page) < PAGE:
            break
    return found


def affected(call: Call, op: Operation | None) -> Iterator[str]:
    """The keys of every switch that would stop this."""
    principal = call.principal
    names = {
        principal.id,
        principal.name,
        call.attribution.user,
        str((principal.claims or {}).get("sub", "")),
    }
    yield from (f"user:{name}" for name in names if name)
    if principal.kind == "key":
        yield f"key:{principal.id.removeprefix('key:')}"
    if call.route:
        yield f"route:{call.route}"
    if op is None:
        return
    if op.kind == "llm":
        yield from (f"model:{name}" for name in {op.model, call.upstream_model} if name)
    elif op.kind == "mcp":
        named = {op.name, op.exposed, f"{op.server}/{op.name}"} if op.subject == "tool" else ()
        yield from (f"tool:{name}" for name in named if name)
        if op.server:
            yield f"server:{op.server}"


class _Running(msgspec.Struct):
    call: Call
    operations: list[Operation] = []


class Switches:
    """What is off now. `refusal` costs one `if` while nothing is.

    `every` is the time between two readings, `patience` how long one may take, `grace` how long they may fail before everything
    is refused.
    """

    def __init__(
        self,
        store: Documents,
        *,
        every: float = 0.8,
        grace: float = 10.0,
        patience: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._every, self._stale, self._blind, self._patience = every, every * 1.25, every + grace, patience
        self._clock = clock
        self._off: dict[str, Switch] = {}
        self._running: dict[str, _Running] = {}
        self._read = 0.0  # when the store last answered
        self._tried = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def off(self) -> Sequence[Switch]:
        return tuple(self._off.values())

    async def fresh(self) -> None:
        """Read the store; whoever waits for it at the same time shares one reading."""
        await asyncio.shield(self._read_once())

    def _read_once(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a timer of another loop may never ring
            self._loop, self._timer, self._reading = loop, None, None
        if self._reading is None or self._reading.done():
            self._reading = loop.create_task(self.read())
        return self._reading

    def _arm(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._every, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._running:
            self._read_once()
            self._arm()

    async def read(self) -> None:
        started = self._clock()
        try:
            async with asyncio.timeout(self._patience):
                found = await thrown(self._store)
        except (StoreError, TimeoutError) as error:
            log.error("the kill switches cannot be read: %s", error or "the store does not answer")
        else:
            self._read = started
            self._off = {switch.key: switch for switch in found}
            self._stop()
        self._tried = self._clock()

    def _stop(self) -> None:
        if not self._off:
            return
        for running in list(self._running.values()):
            for op in (None, *running.operations):
                refusal = self._refusal(running.call, op)
                if refusal is not None and running.call.stopped is None:
                    running.call.stop(refusal)

    @property
    def stale(self) -> bool:
        """Nobody has read the store for a while: the instance was idle, or frozen."""
        return self._clock() - self._tried > self._stale

    def begin(self, call: Call) -> None:
        """From now on, and until `end`, a switch can stop this call."""
        self._running[call.id] = _Running(call)
        if self._timer is None or self._loop is not asyncio.get_running_loop():
            self._arm()

    def end(self, call: Call) -> None:
        del self._running[call.id]

    def refusal(self, call: Call, op: Operation) -> Refusal | None:
        if op is call.operation and (running := self._running.get(call.id)) is not None:
            running.operations.append(op)
        if self._clock() - self._read > self._blind:
            return Refusal(503, "api_error", "the gateway cannot read its kill switches, and stays closed until it can",
                           "kill", retry_after=self._every)  # fmt: skip
        return self._refusal(call, op) if self._off else None

    def _refusal(self, call: Call, op: Operation | None) -> Refusal | None:
        now = self._clock()
        for key in affected(call, op):
            switch = self._off.get(key)
            if switch is not None and (switch.until is None or switch.until > now):
                return _refused(switch)
        return None


def _refused(switch: Switch) -> Refusal:
    why = f" ({switch.reason})" if switch.reason else ""
    return Refusal(403, "permission_error", f"{switch.kind} {switch.name} is switched off{why}; ask the gateway's operator",
                   "kill", switch.key, headers=(("x-should-retry", "false"),))  # fmt: skip
