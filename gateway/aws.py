"""The gateway on AWS Lambda: `handler` answers whole, under Mangum; `gateway.lambda_runtime` streams.

`GATEWAY_CONFIG` names the file (gateway.yaml beside the code, where it is not set), or a parameter or secret that holds it:
`ssm:/NAME`, `secretsmanager:ID`.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import ConfigError
from gateway.types import App

if TYPE_CHECKING:
    from mangum import Mangum

    from gateway.config.load import Loaded

LARGEST = 6_291_556  # bytes of an answer, all of it, as the runtime writes it


@lru_cache(1)
def application() -> App:
    """Built once an environment; nothing is opened before the first request."""
    from gateway.config.build import build
    from gateway.config.resources import Resources

    streams = "AWS_LAMBDA_EXEC_WRAPPER" in os.environ
    return build(_loaded(), Resources(place="lambda-streaming" if streams else "lambda")).app


def _loaded() -> Loaded:
    from gateway.config.load import load, loads

    name = os.environ.get("GATEWAY_CONFIG", "gateway.yaml")
    scheme, _, rest = name.partition(":")
    if scheme not in ("ssm", "secretsmanager"):
        return load(Path(name))
    from gateway.config.aws_secrets import fetch

    try:
        return loads(fetch(scheme, rest), source=name, folder=Path.cwd())
    except ValueError as error:
        raise ConfigError(str(error)) from None


@lru_cache(1)
def _mangum() -> Mangum:
    from mangum import Mangum

    return Mangum(application(), lifespan="off")  # type: ignore[arg-type]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return deliverable(_mangum()(event, context))


def deliverable(answer: dict[str, Any]) -> dict[str, Any]:
    """Itself, or an error in its place: what is too large Lambda drops, and answers for us without a word why."""
    escaped = 6 * len(answer.get("body") or "")  # at most; the runtime writes ASCII
    if escaped < LARGEST - 65_536 or len(json.dumps(answer)) <= LARGEST:
        return answer
    text = (
        "the answer is larger than the 6 MB that AWS Lambda returns: ask the streaming endpoint, or for less"
    )
    error = {"type": "error", "error": {"type": "api_error", "message": text}}
    return {**answer, "statusCode": 502, "headers": {"content-type": "application/json"}, "multiValueHeaders": {},
            "cookies": [], "body": json.dumps(error), "isBase64Encoded": False}  # fmt: skip


if "AWS_LAMBDA_RUNTIME_API" in os.environ and "AWS_LAMBDA_EXEC_WRAPPER" not in os.environ:
    _mangum()  # an environment has more CPU while it starts than its first request would have
