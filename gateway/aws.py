"""The gateway on AWS Lambda: `handler` answers whole, under Mangum; `gateway.lambda_runtime` streams.

`GATEWAY_CONFIG` names the file (gateway.yaml beside the code, where it is not set).
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.types import App

if TYPE_CHECKING:
    from mangum import Mangum


@lru_cache(1)
def application() -> App:
    """Built once an environment; nothing is opened before the first request."""
    from gateway.config.build import build
    from gateway.config.load import load

    streams = "AWS_LAMBDA_EXEC_WRAPPER" in os.environ
    loaded = load(Path(os.environ.get("GATEWAY_CONFIG", "gateway.yaml")))
    return build(loaded, place="lambda-streaming" if streams else "lambda").app


@lru_cache(1)
def _mangum() -> Mangum:
    from mangum import Mangum

    return Mangum(application(), lifespan="off")  # type: ignore[arg-type]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return _mangum()(event, context)
