"""Bytes of a request that go on to an upstream of the same dialect: what changes is re-encoded, the rest is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest

_Fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_model(body: bytes, model: str) -> bytes:
    """The body with another `model`; the same object where it says that already."""
    fields = fields_of(body)
    named = msgspec.json.encode(model)
    if "model" in fields and bytes(fields["model"]) == named:
        return body
    fields["model"] = msgspec.Raw(named)
    return msgspec.json.encode(fields)


def with_fields(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """The body with these fields; the same object where it says all of that already."""
    fields = fields_of(body)
    new = {
        key: value for key, value in changes.items() if key not in fields or value_of(fields, key) != value
    }
    return msgspec.json.encode({**fields, **new}) if new else body


def value_of(fields: Mapping[str, msgspec.Raw], key: str) -> Any:
    """One field, decoded; None where there is none."""
    return msgspec.json.decode(fields[key]) if key in fields else None


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields, each as the client wrote it."""
    try:
        return _Fields.decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest("the body is not a JSON object") from error
