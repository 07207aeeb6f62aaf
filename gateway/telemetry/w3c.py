"""The W3C trace context: `traceparent` read and written, and new ids."""

from __future__ import annotations

import random
import re

from msgspec import Struct

# Version ff is forbidden; of a version we do not know we read what version 00 says and ignore the rest.
_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


class Context(Struct, frozen=True, gc=False):
    trace_id: str
    span_id: str
    sampled: bool


def parse(header: str) -> Context | None:
    """None where the header is absent or broken: then a new trace begins."""
    if not header:
        return None
    found = _HEADER.fullmatch(header.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Context(trace_id, span_id, bool(int(flags, 16) & 1))


def write(context: Context) -> str:
    return f"00-{context.trace_id}-{context.span_id}-{'01' if context.sampled else '00'}"


def new_trace_id() -> str:
    return _drawn(16)


def new_span_id() -> str:
    return _drawn(8)


def new_span_ids(count: int) -> list[str]:
    """Several at once cost little more than one."""
    return random.randbytes(8 * count).hex(" ", 8).split()  # noqa: S311 - an id is no secret


def _drawn(size: int) -> str:
    return random.randbytes(size).hex()  # noqa: S311
