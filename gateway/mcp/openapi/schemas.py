"""Schemas of OpenAPI as the JSON Schema of a tool.

A reference stays one: what it leads to stands once under `$defs`, so a schema that holds itself needs no end. What JSON Schema
does not know (examples, XML, discriminators, extensions, identifiers) is left out: a schema may say less than the document,
and never something else.
"""

from __future__ import annotations

import hashlib
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from gateway.mcp.openapi.document import Document, Json, LeftOut, Wrong

DEEPEST = 64
_ONE = frozenset({"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
                  "unevaluatedItems", "unevaluatedProperties"})  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"dependentSchemas", "patternProperties", "properties"})
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NAMED = "#/components/schemas/"


class Schemas:
    """Those of one document; each that is referred to is converted once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[str, str] = {}  # reference → name under $defs
        self._referred: dict[str, tuple[Any, frozenset[str], int]] = {}  # schema, its references, its size

    def convert(self, schema: Any, references: set[str]) -> Any:
        """`references` gets those that it makes. Raises Wrong and LeftOut."""
        return self._converted(schema, references, 0)

    def definitions(self, references: Iterable[str], *, most: int) -> Json:
        """All that is behind the references, by name: `most` bytes of it, or a document whose schemas all lead to each other would
        cost their number times their size. Raises LeftOut."""
        found: Json = {}
        waiting, left = list(references), most
        while waiting:
            reference = waiting.pop()
            name = self._name(reference)
            if name not in found:
                found[name], further, size = self._behind(reference)
                waiting += further
                left -= size
                if left < 0:
                    raise LeftOut(f"its definition has more than {most} bytes")
        return dict(sorted(found.items()))

    def _behind(self, reference: str) -> tuple[Any, frozenset[str], int]:
        if reference not in self._referred:
            further: set[str] = set()
            try:
                schema = self.convert(self._document.at(reference), further)
            except Wrong as exc:
                raise Wrong(f"{reference}: {exc}") from None
            self._referred[reference] = schema, frozenset(further), written(schema)
        return self._referred[reference]

    def _name(self, reference: str) -> str:
        if not isinstance(reference, str) or reference not in self._names:
            if not isinstance(self._document.at(reference), bool):
                self._document.object({"$ref": reference})
            self._names[reference] = _named(reference)
        return self._names[reference]

    def _converted(self, schema: Any, references: set[str], depth: int) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise Wrong(f"a schema must be an object, and not {reprlib.repr(schema)}")
        if depth > DEEPEST:
            raise LeftOut(f"a schema of it is nested deeper than {DEEPEST} levels")
        out: Json = {}
        if "$ref" in schema:
            out["$ref"] = f"#/$defs/{self._name(schema['$ref'])}"
            references.add(schema["$ref"])
            if self._document.old:
                return out  # what stands beside it says nothing there
        for key, value in schema.items():
            if key in _SOUND and _SOUND[key](value):
                out[key] = value
            elif key == "items" and isinstance(value, list):  # what drafts before 2020-12 called prefixItems
                out |= self._several({"prefixItems": value}, references, depth + 1)
            elif key in _ONE:
                out[key] = self._converted(value, references, depth + 1)
        return _modern(_writable(out | self._several(schema, references, depth + 1), schema), schema)

    def _several(self, schema: Mapping[str, Any], references: set[str], depth: int) -> Json:
        """The members that hold schemas in a list or by name."""
        out: Json = {}
        for key, value in schema.items():
            if key in _LISTS and isinstance(value, list) and value:
                out[key] = [self._converted(each, references, depth) for each in value]
            elif key in _MAPS and isinstance(value, Mapping):
                out[key] = {
                    name: self._converted(each, references, depth)
                    for name, each in value.items()
                    if not _read_only(each)
                }
        return out


def written(definition: Any) -> int:
    """Its bytes as JSON. Raises LeftOut."""
    try:
        return len(orjson.dumps(definition))
    except TypeError as exc:
        raise LeftOut(f"its definition cannot be written as JSON: {exc}") from None


def _named(reference: str) -> str:
    """Of the reference alone: what else the document holds, or which operations are wanted, changes no tool's definition."""
    name = reference.rpartition("/")[2]
    if reference == _NAMED + name and name and not _NAME.search(name):
        return name
    return f"{_NAME.sub('_', name)}_{hashlib.sha256(reference.encode()).hexdigest()[:8]}"


def _is_type(value: Any) -> bool:
    several = value if isinstance(value, list) else [value]
    return _is_names(several) and bool(several) and _TYPES.issuperset(several)


def _is_names(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return False
    return len(set(value)) == len(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


# Documents in use say `required: true`, `type: file` or `description: 404`; one such word makes a model's API refuse all tools.
_SOUND: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("const", "default"), lambda value: True),
    **dict.fromkeys(("enum", "examples"), lambda value: isinstance(value, list)),
    **dict.fromkeys(("deprecated", "uniqueItems", "writeOnly"), _is_flag),
    **dict.fromkeys(("contentEncoding", "contentMediaType", "description", "format", "pattern", "title"), _is_text),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum"), lambda value: _is_flag(value) or _is_number(value)),
    **dict.fromkeys(("maximum", "minimum"), _is_number),
    **dict.fromkeys(("maxContains", "maxItems", "maxLength", "maxProperties"), _is_count),
    **dict.fromkeys(("minContains", "minItems", "minLength", "minProperties"), _is_count),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "dependentRequired": lambda value: isinstance(value, Mapping) and all(map(_is_names, value.values())),
    "required": _is_names,
    "type": _is_type,
}  # fmt: skip


def _read_only(schema: Any) -> bool:
    """What only the API writes is not asked of a caller."""
    return isinstance(schema, Mapping) and schema.get("readOnly") is True


def _writable(out: Json, schema: Mapping[str, Any]) -> Json:
    properties, required = schema.get("properties"), out.get("required")
    if isinstance(properties, Mapping) and isinstance(required, list):
        out["required"] = [name for name in required if not _read_only(properties.get(name))]
    return out


def _modern(out: Json, schema: Mapping[str, Any]) -> Json:
    """What 3.0 said in ways of its own."""
    for limit in ("minimum", "maximum"):
        exclusive = "exclusive" + limit.capitalize()
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and limit in out:
            out[exclusive] = out.pop(limit)
    if schema.get("nullable") is not True:
        return out
    if not isinstance(out.get("type"), str):
        return {"anyOf": [out, {"type": "null"}]}
    out["type"] = [out["type"], "null"]
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out
