"""Secrets from SSM parameters and Secrets Manager, by boto3, which is imported only where a file names one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(2)
def _client(service: str) -> Any:
    try:
        import boto3
    except ImportError:
        raise ValueError("this reference needs the AWS extra: pip install 'asgi-gateway[aws]'") from None
    return boto3.client(service)


def fetch(scheme: str, name: str) -> str:
    """Raises ValueError that says which secret could not be read, and why."""
    client = _client(scheme)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        if scheme == "ssm":
            return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        return str(client.get_secret_value(SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise ValueError(f"{scheme}:{name} cannot be read: {error}") from None
