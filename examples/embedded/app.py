"""The gateway's middlewares in an app of one's own: each works alone, with plain arguments.

uvicorn --factory app:make
curl localhost:8000/v1/messages -H "x-api-key: my-first-key" -d '{"model": "house-model", "messages": []}'
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.guards.rules import rules_from
from gateway.identity.keys import ListedKeys
from gateway.limits.rules import Budget, Limit
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.authz import AuthzMiddleware
from gateway.middleware.guard import GuardMiddleware
from gateway.middleware.ratelimit import RateLimitMiddleware
from gateway.middleware.usage import UsageMiddleware
from gateway.stores import open_store

KEYS = [{"key": "my-first-key", "owner": "ada@example.com", "groups": ["engineering"]}]


async def messages(request: Request) -> JSONResponse:
    """Whatever the app did before: here a model of its own."""
    body = await request.json()
    usage = {"input_tokens": 12, "output_tokens": 5}
    content = [{"type": "text", "text": f"{body['model']} says hello"}]
    return JSONResponse(
        {"type": "message", "role": "assistant", "content": content, "model": body["model"], "usage": usage}
    )


def make(store_url: str = "sqlite:///usage.db") -> Starlette:
    store = open_store(store_url)
    app = Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])
    # The last one added is the first one asked.
    app.add_middleware(UsageMiddleware, store=store, labels={"team": 'request.headers["x-team"]'})
    app.add_middleware(
        GuardMiddleware, request=rules_from([{"regex": "(?i)project falcon", "action": "reject"}])
    )
    app.add_middleware(
        RateLimitMiddleware,
        store=store,
        limits=[Limit(requests=3, per=60, key="principal.id")],
        budgets=[Budget(usd=100, per="day", key="principal.groups")],
    )
    app.add_middleware(AuthzMiddleware, deny=['llm.model == "forbidden-model"'])
    app.add_middleware(AuthMiddleware, keys=[ListedKeys(KEYS)])
    app.state.store = store
    return app
