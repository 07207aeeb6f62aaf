"""Who may come in through a browser: `Origin`, and on loopback `Host` too, must be names that we know.

A page can make a browser talk to 127.0.0.1 under a name of its own (DNS rebinding). Programs send no `Origin`.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from gateway.call import Call
from gateway.known import Known
from gateway.refusals import Refusal
from gateway.types import Scope

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Doors:
    """`origins` and `hosts` are allowed beside loopback; `*` allows any."""

    def __init__(self, origins: Collection[str] = (), hosts: Collection[str] = ()) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._known: Known[tuple[str | None, str, str], Refusal | None] = Known(
            lambda named: self._refuse(*named)
        )

    def refuse(self, call: Call, scope: Scope) -> Refusal | None:
        bound = (scope.get("server") or ("",))[0]
        return self._known[call.headers.get("origin"), call.headers.get("host", ""), bound]

    def _refuse(self, origin: str | None, host: str, bound: str) -> Refusal | None:
        if origin is not None and not self._origin(origin.lower()):
            return Refusal(403, "permission_error", "this Origin may not use this MCP endpoint", "origin")
        if (bound in _LOOPBACK or self._hosts) and not self._host(host):
            return Refusal(403, "permission_error", "this Host is not one of this MCP endpoint", "origin")
        return None

    def _origin(self, origin: str) -> bool:
        name, own = _name(origin), origin.partition("://")[2]
        return bool({"*", origin} & self._origins) or name in _LOOPBACK or bool({name, own} & self._hosts)

    def _host(self, host: str) -> bool:
        name = _name("//" + host.lower())
        return "*" in self._hosts or name in _LOOPBACK or name in self._hosts or host.lower() in self._hosts


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
