"""What the client calls a tool: the upstream's own name where it can be, a prefixed one where it must, within 64 characters.

The names depend only on what the servers list and on their order in the configuration, so every instance finds the same.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

Mode = Literal["auto", "always", "never"]
LONGEST = 64  # what model APIs accept; the protocol itself would allow 128
_VARIABLE = re.compile(r"\{[^{}]*\}")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")

Own = tuple[str, str]  # server, the upstream's own name


def expose(listed: Sequence[Own], *, mode: Mode, prefixes: Mapping[str, str]) -> dict[str, Own]:
    """Exposed name → server and own name, in the order in which they are listed.

    `prefixes` are those that the configuration gives to a server; a server without one has its own name and `_`.
    A tool whose plain name looks like another server's prefixed one gives way to it.
    """
    wanted: dict[Own, str] = {}
    plain = Counter(name for server, name in listed if server not in prefixes)
    for server, name in dict.fromkeys(listed):
        if server in prefixes:
            wanted[server, name] = prefixes[server] + name
        elif mode == "always" or (mode == "auto" and plain[name] > 1):
            wanted[server, name] = f"{server}_{name}"
        else:
            wanted[server, name] = name
    return _settle(wanted, mode=mode, prefixes=prefixes)


def _settle(wanted: Mapping[Own, str], *, mode: Mode, prefixes: Mapping[str, str]) -> dict[str, Own]:
    """Each exposed name has one owner: first those with a prefix, then the others in order."""
    owners: dict[str, Own] = {}
    settled: dict[Own, str] = {}
    for prefixed in (True, False):
        for own, name in wanted.items():
            if (name != own[1]) is not prefixed:
                continue
            exposed = fit(name, own)
            if exposed in owners and mode == "never" and own[0] not in prefixes:
                continue  # the first one in the file keeps the name; `status` says so
            if exposed in owners:
                exposed = fit(f"{own[0]}_{own[1]}", own)
            if exposed in owners:
                exposed = shorten(f"{own[0]}_{own[1]}", own)
            owners[exposed] = own
            settled[own] = exposed
    return {settled[own]: own for own in wanted if own in settled}


def fit(name: str, own: Own) -> str:
    return shorten(name, own) if len(name) > LONGEST or _FORBIDDEN.search(name) else name


def shorten(name: str, own: Own) -> str:
    """Cut, with eight characters that only this tool of this server has."""
    digest = hashlib.sha256("\0".join(own).encode()).hexdigest()[:8]
    return _FORBIDDEN.sub("_", name)[: LONGEST - 9] + "_" + digest


def prefix_uri(server: str, uri: str) -> str:
    """`notes` and `file:///a` make `notes+file:///a`."""
    return f"{server}+{uri}"


def split_uri(uri: str, servers: Mapping[str, object]) -> Own | None:
    server, plus, rest = uri.partition("+")
    return (server, rest) if plus and server in servers and ":" in rest else None


def matches(template: str, uri: str) -> bool:
    """Whether a URI can come from a template: its literal parts, in order. Linear, whatever the template says."""
    literals = _VARIABLE.split(template)
    if not uri.startswith(literals[0]) or not uri.endswith(literals[-1]):
        return False
    at = len(literals[0])
    for literal in literals[1:]:
        at = uri.find(literal, at)
        if at < 0:
            return False
        at += len(literal)
    return True
