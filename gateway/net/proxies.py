"""Which proxy stands before an upstream, from the environment variables that every other program reads."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct


class Proxy(Struct, frozen=True):
    host: str
    port: int
    tls: bool
    authorization: bytes = b""  # the value of Proxy-Authorization

    @classmethod
    def parse(cls, url: str) -> Proxy:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a proxy is http://host:port or https://host:port, not {parts.scheme}://")
        secret = b""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            secret = b"Basic " + base64.b64encode(pair.encode())
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, secret)


class Proxies(Struct, frozen=True):
    """`by_scheme` maps `http` and `https` to a proxy; `bypass` holds the entries of NO_PROXY."""

    by_scheme: Mapping[str, Proxy]
    bypass: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Proxies:
        found = {}
        for scheme in ("http", "https"):
            # HTTP_PROXY in capitals can be set by a request header under CGI, so only the lower-case name counts.
            names = ("http_proxy", "all_proxy", "ALL_PROXY") if scheme == "http" else (
                "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")  # fmt: skip
            url = next((env[name] for name in names if env.get(name)), "")
            if url:
                found[scheme] = Proxy.parse(url)
        listed = env.get("no_proxy") or env.get("NO_PROXY") or ""
        return cls(found, tuple(entry.strip().lower() for entry in listed.split(",") if entry.strip()))

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        proxy = self.by_scheme.get(scheme)
        if proxy is None or any(_covers(entry, host.lower(), port) for entry in self.bypass):
            return None
        return proxy


NO_PROXIES = Proxies({})


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, host)
    name, colon, wanted = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    if colon and wanted != str(port):
        return False
    name = name.removeprefix("*").strip("[]")
    return host == name.lstrip(".") or host.endswith("." + name.lstrip("."))


def _in_network(entry: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
