"""Lambda's HTTP events as ASGI scopes, by Mangum's own readers: the streaming loop and the buffered handler agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mangum.handlers import ALB, APIGateway, HTTPGateway

from gateway.types import Scope

_READERS = (ALB, HTTPGateway, APIGateway)
_CONFIG: Any = {"api_gateway_base_path": "/", "text_mime_types": [], "exclude_headers": []}


def scope_and_body(event: Mapping[str, Any], function: str) -> tuple[Scope, bytes]:
    """Raises ValueError where the event is no HTTP request."""
    found: Any = event
    for reader in _READERS:
        if reader.infer(found, None, _CONFIG):  # type: ignore[arg-type]
            one: Any = reader(found, None, _CONFIG)  # type: ignore[arg-type]
            return {**one.scope, "state": {}}, one.body
    raise ValueError(
        "the event is no HTTP request: invoke through API Gateway, a function URL or a load balancer"
    )
