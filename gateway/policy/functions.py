"""The functions that rules have beyond CEL's own. Strings in, plain values out; linear in their input."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable

import re2

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.lru_cache(maxsize=1024)
def network(text: str) -> Network:
    return ipaddress.ip_network(text.strip(), strict=False)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that came over an IPv6 socket is the IPv4 address."""
    found = ipaddress.ip_address(text.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def in_networks(ip: str, networks: str | Iterable[str]) -> bool:
    where = address(str(ip))
    listed = [networks] if isinstance(networks, str) else networks
    return any(
        where in net for net in [network(str(text)) for text in listed] if net.version == where.version
    )


def cidr(text: str) -> str:
    return str(network(str(text)))


def contains_ip(net: str, ip: str) -> bool:
    return in_networks(ip, str(net))


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


@functools.lru_cache(maxsize=256)
def _template(text: str) -> str:
    """`$1`, `${1}` and `$$`, as they are written for Rust and Go, in the engine's own form."""
    escaped = text.replace("\\", r"\\")
    return re.sub(r"\$(?:(\$)|\{(\w+)\}|(\d+))", _group, escaped)


def _group(match: re.Match[str]) -> str:
    dollar, braced, plain = match.groups()
    if dollar:
        return "$"
    name = braced or plain
    return f"\\g<{name}>" if not name.isdigit() else f"\\{name}"


def regex_replace(text: str, pattern: str, replacement: str) -> str:
    return str(_pattern(str(pattern)).sub(_template(str(replacement)), str(text)))


def strip_prefix(text: str, prefix: str) -> str:
    return str(text).removeprefix(str(prefix))
