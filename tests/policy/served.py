"""A gateway process for the kill-switch test: one endless stream behind auth and authz, on a store that is shared."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn

from gateway.call import Call
from gateway.identity.keys import ListedKeys
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.authz import AuthzMiddleware
from gateway.policy.switches import Switches
from gateway.stores import open_store


async def endless(scope: Any, receive: Any, send: Any) -> None:
    ended = asyncio.Event()
    call = Call.of(scope)
    call.abort = ended.set
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not ended.is_set() and call.path.endswith("/messages"):
        await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        try:
            await asyncio.wait_for(ended.wait(), 0.02)
        except TimeoutError:
            continue
    last = call.stopped.message.encode() if call.stopped is not None else b"done"
    await send({"type": "http.response.body", "body": last})


async def main(store_url: str) -> None:
    store = open_store(store_url)
    keys = ListedKeys(
        [{"key": "sk-ada", "id": "k-ada", "owner": "ada"}, {"key": "sk-bob", "id": "k-bob", "owner": "bob"}]
    )
    app = AuthMiddleware(AuthzMiddleware(endless, switches=Switches(store)), keys=[keys])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_level="error", lifespan="off", proxy_headers=False)
        await uvicorn.Server(config).serve(sockets=[listening])
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
