"""Secrets from SSM parameters and Secrets Manager: one signed request each, so that a cold start waits for no client library."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from gateway.errors import StoreError
from gateway.stores.dynamodb import credentials
from gateway.stores.dynamodb.sigv4 import Signer

JSON = "application/x-amz-json-1.1"
TIMEOUT = 5.0
_TARGETS = {"ssm": "AmazonSSM.GetParameter", "secretsmanager": "secretsmanager.GetSecretValue"}
_PLACES = {"ssm": "AWS_ENDPOINT_URL_SSM", "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER"}
_KINDS = {
    "ParameterNotFound": "there is no such parameter in {region}",
    "ResourceNotFoundException": "there is no such secret in {region}",
    "AccessDeniedException": "this role may not read it: allow {action} on it",
}
_ACTIONS = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}


def fetch(scheme: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Raises ValueError that says which secret could not be read, and why."""
    region = _region(name, environment)
    if not region:
        raise ValueError(f"{scheme}:{name} needs a region: set AWS_REGION")
    asked = {"Name": name, "WithDecryption": True} if scheme == "ssm" else {"SecretId": name}
    try:
        answer = _send(scheme, region, json.dumps(asked).encode(), environment)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{scheme}:{name} cannot be read: {_why(error, scheme, region)}") from None
    except (OSError, LookupError, StoreError) as error:
        raise ValueError(f"{scheme}:{name} cannot be read: {error}") from None
    return str(answer["Parameter"]["Value"] if scheme == "ssm" else answer["SecretString"])


def _region(name: str, environment: Mapping[str, str]) -> str:
    if name.startswith("arn:"):
        return name.split(":")[3]
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""


def _send(service: str, region: str, body: bytes, environment: Mapping[str, str]) -> Any:
    named = environment.get(_PLACES[service]) or environment.get("AWS_ENDPOINT_URL")
    url = (named or f"https://{service}.{region}.amazonaws.com").rstrip("/") + "/"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = [("content-type", JSON), ("host", url.split("/")[2]), ("x-amz-date", stamp),
               ("x-amz-target", _TARGETS[service])]  # fmt: skip
    who = credentials.current(environment)
    if who.token:
        headers.append(("x-amz-security-token", who.token))
    signature = Signer(region, service).authorization(who, "POST", "/", "", headers, body, stamp)
    request = urllib.request.Request(url, body, dict([*headers, ("authorization", signature)]))  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        return json.loads(answer.read())


def _why(error: urllib.error.HTTPError, scheme: str, region: str) -> str:
    try:
        told = json.loads(error.read())
    except ValueError:
        return str(error)
    kind = str(told.get("__type", "")).rpartition("#")[2]
    known = _KINDS.get(kind, f"{kind} {told.get('message') or told.get('Message') or ''}".strip())
    return known.format(region=region, action=_ACTIONS[scheme])
