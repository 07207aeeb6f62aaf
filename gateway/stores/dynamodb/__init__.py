"""`dynamodb://TABLE?region=eu-west-1`, with `endpoint`, `mode` (server or lambda), `leases`, `skew`, `timeout` and `retention`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gateway.errors import ConfigError
from gateway.net.pool import Pool
from gateway.stores import retention
from gateway.stores.dynamodb import credentials
from gateway.stores.dynamodb.buckets import SKEW
from gateway.stores.dynamodb.client import BUDGET, DynamoClient
from gateway.stores.dynamodb.leases import SIZE, Leases
from gateway.stores.dynamodb.store import DynamoStore

_OPTIONS = ("region", "endpoint", "mode", "leases", "skew", "timeout")


def open_table(
    table: str, options: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> DynamoStore:
    """The store of a URL's parts. On Lambda (`mode=lambda`, found by itself) settlements are written at once, without leases."""
    kept = retention("dynamodb://", options, *_OPTIONS)
    region, endpoint = place(options, environment)
    if not table:
        raise ConfigError("dynamodb://TABLE?region=REGION needs a table")
    mode = options.get("mode") or ("lambda" if "AWS_LAMBDA_FUNCTION_NAME" in environment else "server")
    if mode not in ("lambda", "server"):
        raise ConfigError(f"dynamodb:// has the modes server and lambda, not {mode!r}")
    client = DynamoClient(
        Pool(),
        region=region,
        endpoint=endpoint,
        credentials=credentials.source(environment),
        budget=float(options.get("timeout", BUDGET)),
    )
    size = int(options.get("leases", SIZE if mode == "server" else 0))
    return DynamoStore(
        client,
        table,
        settle_now=mode == "lambda",
        leases=Leases(size=size) if size > 1 and mode == "server" else None,
        skew=float(options.get("skew", SKEW)),
        retention=kept,
    )


def place(options: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """The region and the endpoint ("": AWS's own)."""
    region = options.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigError("dynamodb://TABLE?region=REGION needs a region, here or in AWS_REGION")
    named = environment.get("AWS_ENDPOINT_URL_DYNAMODB") or environment.get("AWS_ENDPOINT_URL")
    return region, options.get("endpoint") or named or ""
