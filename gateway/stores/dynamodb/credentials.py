"""Who we are to AWS: the environment (Lambda sets it), or whatever botocore finds: container, web identity, profile, instance.

botocore is imported only when the environment holds no key; its look-ups and renewals block, and run in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gateway.errors import StoreError
from gateway.stores.dynamodb.sigv4 import Credentials
from gateway.tasks import under_way

log = logging.getLogger("gateway.stores")
EARLY = 300.0  # renewed so many seconds before they end
CHECK = 30.0  # seconds between two looks at credentials that botocore renews


class Source(Protocol):
    async def get(self) -> Credentials: ...


class Fixed:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self) -> Credentials:
        return self._credentials


class Renewed:
    """Credentials that end. `load` blocks and gives new ones; it is called before the old ones end."""

    def __init__(self, load: Callable[[], Credentials], *, clock: Callable[[], float] = time.time) -> None:
        self._load = load
        self._clock = clock
        self._credentials: Credentials | None = None
        self._task: asyncio.Task[Credentials] | None = None

    async def get(self) -> Credentials:
        current, now = self._credentials, self._clock()
        if current is not None and now < current.expires - EARLY:
            return current
        if not under_way(self._task):
            self._task = asyncio.create_task(self._renew())
        if current is not None and now < current.expires - 10:
            return current  # still good: nobody waits for the new ones
        return await asyncio.shield(self._task)

    async def _renew(self) -> Credentials:
        try:
            self._credentials = await asyncio.to_thread(self._load)
        except Exception as error:
            if self._credentials is None or self._credentials.expires <= self._clock():
                raise StoreError(f"no AWS credentials: {error}") from error
            log.warning("the AWS credentials are not renewed yet: %s", error)
        return self._credentials


def source(environment: Mapping[str, str] = os.environ) -> Source:
    given = _given(environment)
    return Fixed(given) if given else Renewed(_Botocore().load)


def current(environment: Mapping[str, str] = os.environ) -> Credentials:
    """Those of this moment, found while the caller waits."""
    return _given(environment) or _Botocore().load()


def _given(environment: Mapping[str, str]) -> Credentials | None:
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    return Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", "")) if key and secret else None


class _Botocore:
    def __init__(self) -> None:
        self._found: Any = None

    def load(self) -> Credentials:
        if self._found is None:
            from botocore.session import Session

            self._found = Session().get_credentials()
        if self._found is None:
            raise LookupError("set AWS_ACCESS_KEY_ID, a profile, or run with a role")
        frozen = self._found.get_frozen_credentials()  # renews what is about to end
        ends = getattr(self._found, "_expiry_time", None)
        # Ours ask again before botocore's own are due, and a little later where botocore does not say when that is.
        expires = ends.timestamp() if ends is not None else time.time() + EARLY + CHECK
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "", expires)
