"""Two relays on one server and one pool: `/plain` hands bytes on, `/gateway` is LLMApp with all that it does for a stream.

relays.py PORT UPSTREAM   (GET /cpu says how many seconds of CPU the process has used)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.llm.app import LLMApp
from gateway.llm.routes import ModelRule, Target
from gateway.llm.rows import provider
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.types import Receive, Scope, Send

HOP = (b"host", b"connection", b"content-length", b"transfer-encoding")
# Each wire at its own provider, under another name than the client's: the body has to be changed.
MODELS = {
    "claude-sonnet-4-5": ("anthropic", "claude-sonnet-4-6"),
    "gpt-4.1": ("openai", "gpt-4.1-mini"),
    "gpt-5.4": ("openai", "gpt-5.4-mini"),
    "gemini-3-flash": ("gemini", "gemini-3.1-flash"),
}
BASES = {"anthropic": "", "openai": "/v1", "gemini": "/v1beta"}


class Plain:
    """Bytes in, bytes out."""

    def __init__(self, pool: Pool, upstream: str) -> None:
        self._pool, self._upstream = pool, upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        headers = [each for each in scope["headers"] if each[0] not in HOP]
        url = self._upstream + scope["path"].removeprefix("/plain")
        response = await self._pool.send("POST", url, headers=headers, body=body)
        back = [each for each in response.headers if each[0] not in HOP]
        await send({"type": "http.response.start", "status": response.status, "headers": back})
        while chunk := await response.chunk():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Both:
    def __init__(self, upstream: str) -> None:
        pool = Pool(proxies=NO_PROXIES)
        providers = {
            name: provider(name, base_url=upstream + base, api_key="sk-upstream")
            for name, base in BASES.items()
        }
        rules = [ModelRule(match=name, to=(Target(*to),)) for name, to in MODELS.items()]
        self._gateway = LLMApp(providers=providers, models=rules, client=pool)
        self._plain = Plain(pool, upstream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/cpu":
            body = b"%.6f" % time.process_time()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
        elif path.startswith("/plain/"):
            await self._plain(scope, receive, send)
        else:
            await self._gateway({**scope, "root_path": "/gateway"}, receive, send)


if __name__ == "__main__":
    uvicorn.run(
        Both(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
