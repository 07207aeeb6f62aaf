"""The middlewares in apps of somebody else: all five together, and each alone."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from gateway.guards.rules import rules_from
from gateway.identity.keys import ListedKeys
from gateway.limits.rules import Limit
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.authz import AuthzMiddleware
from gateway.middleware.guard import GuardMiddleware
from gateway.middleware.ratelimit import RateLimitMiddleware
from gateway.middleware.usage import UsageMiddleware
from gateway.stores.memory import MemoryStore
from tests.driver import Driver, Reply
from tests.whole.running import until

FILE = Path(__file__).parents[2] / "examples/embedded/app.py"
KEY = {"x-api-key": "my-first-key"}


def asked(text: str = "hello", model: str = "house-model") -> dict[str, Any]:
    return {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def make() -> Callable[[str], Starlette]:
    spec = importlib.util.spec_from_file_location("embedded_example", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.make  # type: ignore[no-any-return]


async def test_the_example_of_the_readme_does_what_it_says(make: Callable[[str], Starlette]) -> None:
    app = make("memory:")
    drive = Driver(app)
    good = await drive.post("/v1/messages", asked(), headers={**KEY, "x-team": "core"})
    assert (good.status, good.json["content"][0]["text"]) == (200, "house-model says hello")
    assert (await drive.post("/v1/messages", asked())).status == 401
    assert (await drive.post("/v1/messages", asked(model="forbidden-model"), headers=KEY)).status == 403
    guarded = await drive.post("/v1/messages", asked("tell me of Project Falcon"), headers=KEY)
    assert (guarded.status, guarded.json["error"]["type"]) == (403, "permission_error")
    assert (await drive.post("/v1/messages", asked(), headers=KEY)).status == 200
    limited = await drive.post("/v1/messages", asked(), headers=KEY)
    assert (limited.status, limited.json["error"]["type"]) == (429, "rate_limit_error")

    async def recorded() -> bool:
        [*totals] = await app.state.store.usage(since=0, until=1e12, by=["user"])
        return [(total.group, total.calls, total.input) for total in totals] == [
            (("ada@example.com",), 2, 24)
        ]

    await until(recorded)


async def answer(request: Request) -> JSONResponse:
    return JSONResponse({"type": "message", "usage": {"input_tokens": 3, "output_tokens": 2}})


ALONE: dict[str, tuple[Middleware, Callable[[Reply, Reply], bool]]] = {
    "auth": (Middleware(AuthMiddleware, keys=[ListedKeys([{"key": "my-first-key"}])]),
             lambda first, second: (first.status, second.status) == (401, 401)),
    "authz": (Middleware(AuthzMiddleware, deny=['llm.model == "house-model"']),
              lambda first, second: first.status == 403),
    "guard": (Middleware(GuardMiddleware, request=rules_from([{"regex": "hello", "action": "reject"}])),
              lambda first, second: first.status == 403),
    "ratelimit": (Middleware(RateLimitMiddleware, store=MemoryStore(), limits=[Limit(requests=1, per=3600)]),
                  lambda first, second: (first.status, second.status) == (200, 429)),
    "usage": (Middleware(UsageMiddleware, store=MemoryStore()), lambda first, second: first.status == 200),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("kind", ["starlette", "fastapi", "mounted"])
async def test_each_middleware_works_alone(name: str, kind: str) -> None:
    middleware, right = ALONE[name]
    fresh = {"store": MemoryStore()} if "store" in middleware.kwargs else {}
    if kind == "fastapi":
        app: Any = FastAPI()
        app.add_api_route("/v1/messages", answer, methods=["POST"])
    else:
        app = Starlette(routes=[Route("/v1/messages", answer, methods=["POST"])])
    app.add_middleware(middleware.cls, **{**middleware.kwargs, **fresh})
    if kind == "mounted":
        app = Starlette(routes=[Mount("/inner", app=app)])
    path = "/inner/v1/messages" if kind == "mounted" else "/v1/messages"
    replies = [await Driver(app).post(path, asked()) for _ in range(2)]
    assert right(*replies), [reply.body for reply in replies]
