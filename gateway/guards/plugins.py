"""Judges from outside: a Python callable, or an HTTP webhook that speaks agentgateway's contract.

Each has a time budget and a decided outcome for the case that it fails: `closed` refuses, else the text passes.
The webhook is sent, at its /request and /response, {"body": {"messages": [{role, content}]}} for requests and {"body": {"choices": [{message}]}} for answers,
and replies {"action": {...}}: pass, mask (a body of the same form) or reject (body, status_code, reason).
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson

from gateway.errors import ConfigError
from gateway.net import tls

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Said:
    """A judge's word. `texts` are the texts as they shall go on, for `mask`; as many as it was given."""

    action: Literal["pass", "mask", "reject"] = "pass"
    texts: tuple[str, ...] = ()
    status: int = 403
    body: str = ""
    reason: str = ""


PASS = Said()


class Plugin(Protocol):
    async def judge(self, texts: Sequence[str], *, phase: str) -> Said:
        """Never raises, and answers within its budget."""


Judge = Callable[..., Said | bool | Awaitable[Said | bool | None] | None]


@dataclass(frozen=True, slots=True)
class Calling:
    """A callable of the operator's: `def judge(texts, phase) -> Said | bool | None` (True refuses), or async."""

    function: Judge
    timeout: float = 1.0
    closed: bool = True

    async def judge(self, texts: Sequence[str], *, phase: str) -> Said:
        try:
            async with asyncio.timeout(self.timeout):
                said = await self._called(list(texts), phase)
        except Exception as error:
            return failed(self.closed, error)
        return said if isinstance(said, Said) else Said("reject") if said else PASS

    async def _called(self, texts: list[str], phase: str) -> Said | bool | None:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(texts, phase)  # type: ignore[no-any-return]
        said = await asyncio.to_thread(self.function, texts, phase)
        return await said if inspect.isawaitable(said) else said


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    timeout: float = 1.0
    closed: bool = True
    headers: Mapping[str, str] | None = None
    transport: httpx.AsyncBaseTransport | None = None

    async def judge(self, texts: Sequence[str], *, phase: str) -> Said:
        path = "response" if phase == "response" else "request"
        body = orjson.dumps({"body": _asked(texts, phase)})
        headers = {"content-type": "application/json", **(self.headers or {})}
        url = f"{self.url.rstrip('/')}/{path}"
        try:
            reply = await post(url, body, headers, timeout=self.timeout, transport=self.transport)
            return _read(reply, len(texts), phase)
        except Exception as error:
            return failed(self.closed, error)


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Any:
    """A judge's answer as data. Raises when it is late, or not a success."""
    import httpx

    async with (
        asyncio.timeout(timeout),
        httpx.AsyncClient(transport=transport, timeout=timeout, verify=_tls()) as client,
    ):
        reply = await client.post(url, content=body, headers=dict(headers))
    reply.raise_for_status()
    return orjson.loads(reply.content)


@cache
def _tls() -> ssl.SSLContext:
    return tls.context()


def _asked(texts: Sequence[str], phase: str) -> dict[str, Any]:
    if phase == "response":
        return {"choices": [{"message": {"role": "assistant", "content": text}} for text in texts]}
    return {"messages": [{"role": "user", "content": text} for text in texts]}


def _read(reply: Any, count: int, phase: str) -> Said:
    """The action is an object that says itself which it is: by its fields, or by a `type` or a name."""
    action = reply.get("action", reply)
    if isinstance(action, str):
        action = {**reply, "type": action}
    kind = str(action.get("type", "")).lower()
    if kind == "reject" or "status_code" in action:
        return Said(
            "reject",
            status=int(action.get("status_code", 403)),
            body=str(action.get("body", "")),
            reason=str(action.get("reason", "")),
        )
    if kind == "mask" or isinstance(action.get("body"), dict):
        body = action["body"]
        items = body["choices"] if phase == "response" else body["messages"]
        texts = tuple(str((item.get("message") or item)["content"]) for item in items)
        if len(texts) != count:
            raise ValueError(f"{len(texts)} texts came back for {count}")
        return Said("mask", texts, reason=str(action.get("reason", "")))
    return PASS


def failed(closed: bool, error: Exception) -> Said:
    why = f"the judge failed ({type(error).__name__})"
    return Said("reject", reason=why) if closed else Said(reason=why)


def load_callable(where: str, *, timeout: float = 1.0, closed: bool = True) -> Calling:
    """`package.module:function`"""
    module, _, name = where.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"python: {where!r} cannot be loaded: {error}") from None
    if not callable(function):
        raise ConfigError(f"python: {where!r} is not callable")
    return Calling(function, timeout, closed)


def webhook(
    url: str, *, timeout: float = 1.0, closed: bool = True, headers: Mapping[str, str] | None = None
) -> Webhook:
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"webhook: {url!r} is not an http or https address")
    return Webhook(url, timeout, closed, headers)
