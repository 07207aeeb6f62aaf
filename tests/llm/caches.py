"""A cache of answers for tests, its clock, and one who asks through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.llm.cache import Cache
from tests.driver import Reply
from tests.llm.gateways import ANTHROPIC, REQUEST, Gateway


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asker:
    """Asks and waits until what is to be kept is kept."""

    gw: Gateway
    cache: Cache

    async def __call__(
        self, body: Any = REQUEST, *, path: str = "/v1/messages", **headers: str
    ) -> tuple[Reply, str]:
        sent = {**ANTHROPIC, **{name.replace("_", "-"): value for name, value in headers.items()}}
        reply = await self.gw.drive.post(path, body, headers=sent)
        await self.cache.close()
        return reply, reply.headers.get("x-gateway-cache", "")

    @property
    def asked(self) -> int:
        return sum(len(up.requests) for up in self.gw.ups)


def shared(**options: Any) -> Cache:
    return Cache(**{"ttl": 60.0, "scope": "route", **options})
