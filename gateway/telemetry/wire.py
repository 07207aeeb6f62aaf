"""OTLP's messages as protobuf bytes, straight from our records.

By hand, because the SDK's objects cost 33 µs a span and generated messages 6, and this 2: most attributes of a span were
written before, and their bytes are remembered. Field numbers are those of opentelemetry-proto 1.x; tests decode with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache

from gateway.telemetry.spans import Link, Shape, Span, Value

_double = struct.Struct("<d").pack
_times = struct.Struct("<BQBQ").pack
_BYTES = 2
# Of attributes that hold content no two are alike, and they may be long: their bytes are not remembered.
_LONG = frozenset({"gen_ai.input.messages", "gen_ai.system_instructions", "mcp.arguments"})


def varint(number: int) -> bytes:
    number &= 0xFFFF_FFFF_FFFF_FFFF  # a negative one is its two's complement
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL = [varint(number) for number in range(1 << 14)]


def _size(data: bytes) -> bytes:
    return _SMALL[len(data)] if len(data) < len(_SMALL) else varint(len(data))


def field(number: int, data: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return bytes((number << 3 | _BYTES,)) + _size(data) + data


def spans(found: Iterable[Span], resource: bytes) -> bytes:
    """An ExportTraceServiceRequest."""
    parts = [field(1, field(1, b"gateway"))]
    for data in map(span, found):
        parts += (b"\x12", _size(data), data)
    return field(1, field(1, resource) + field(2, b"".join(parts)))


def logs(lines: Iterable[bytes], resource: bytes, scope_name: bytes) -> bytes:
    """An ExportLogsServiceRequest: each line is a record's body, at the level INFO."""
    records = [field(2, b"\x10\x09" + field(5, field(1, line))) for line in lines]
    return field(1, field(1, resource) + field(2, field(1, field(1, scope_name)) + b"".join(records)))


def resource(attributes: Mapping[str, str]) -> bytes:
    return b"".join(field(1, pair(name, value)) for name, value in attributes.items())


def span(each: Span) -> bytes:
    parts = [_trace(each.trace_id), b"\x12\x08", bytes.fromhex(each.span_id)]
    if each.parent:
        parts.append(_parent(each.parent))
    parts += (_shape(each.shape), _times(0x39, each.started, 0x41, each.ended))
    if each.own:
        encoded = _attribute if _LONG.isdisjoint(each.own) else _attribute.__wrapped__
        parts += map(encoded, each.own, each.own.values())
    if each.links:
        parts += map(_link, each.links)
    if each.error:
        parts.append(field(15, field(2, _utf8(each.error)) + b"\x18\x02"))
    return b"".join(parts)


@lru_cache(maxsize=64)
def _trace(id: str) -> bytes:
    return b"\x0a\x10" + bytes.fromhex(id)


@lru_cache(maxsize=64)
def _parent(id: str) -> bytes:
    return b"\x22\x08" + bytes.fromhex(id)


@lru_cache(maxsize=4096)
def _shape(shape: Shape) -> bytes:
    attributes = shape.attributes
    name = field(5, _utf8(shape.name)) + b"\x30" + varint(shape.kind)
    return name + b"".join(map(_attribute, attributes, attributes.values()))


def _link(link: Link) -> bytes:
    return field(13, field(1, bytes.fromhex(link.trace_id)) + field(2, bytes.fromhex(link.span_id)))


@lru_cache(maxsize=8192, typed=True)
def _attribute(name: str, value: Value) -> bytes:
    return field(9, pair(name, value))


def pair(name: str, value: Value) -> bytes:
    """A KeyValue."""
    return _key(name) + field(2, _any(value))


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return field(1, _utf8(name))


def _any(value: Value) -> bytes:
    if isinstance(value, str):
        return field(1, _utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    return field(5, b"".join(field(1, _any(item)) for item in value))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
