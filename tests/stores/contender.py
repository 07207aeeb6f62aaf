"""One of several processes that take from the same bucket: `python -m tests.stores.contender URL RATE BURST SECONDS PACE AT`.

Starts at the time AT, takes one every PACE seconds on average, as independent callers do (0: as fast as it can), prints JSON: admitted, decisions, writes, first, last.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from gateway.limits.bucket import Take
from gateway.stores import open_store
from gateway.stores.protocols import Store


def writes(store: Store) -> int:
    client = getattr(store, "client", None)
    return sum(client.calls.values()) if client is not None else 0


async def contend(url: str, rate: float, burst: float, seconds: float, pace: float, at: float) -> None:
    store = open_store(url)
    take = [Take("shared", rate, burst, 1)]
    await store.take("warm-up", take)
    before = writes(store)
    await asyncio.sleep(max(0.0, at - time.time()))
    admitted, decisions, first = 0, 0, time.time()
    while (now := time.time()) < first + seconds:
        decisions += 1
        admitted += not (await store.take("everybody", take)).denied
        await asyncio.sleep(max(0.0, now + pace * random.expovariate(1.0) - time.time()))
    found = {"admitted": admitted, "decisions": decisions, "writes": writes(store) - before,
             "first": first, "last": time.time()}  # fmt: skip
    await store.close()
    print(json.dumps(found))


if __name__ == "__main__":
    url, *figures = sys.argv[1:]
    asyncio.run(contend(url, *map(float, figures)))
