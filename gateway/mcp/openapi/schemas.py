"""Schemas of OpenAPI as the JSON Schema of a tool.

A reference stays one: what it leads to stands once under `$defs`, so a schema that holds itself needs no end. What JSON Schema
does not know (examples, XML, discriminators, extensions, identifiers) is left out: a schema may say less than the document,
and never something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.mcp.openapi.document import Document, Json, LeftOut, Wrong

DEEPEST = 64
_ONE = frozenset({"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
                  "unevaluatedItems", "unevaluatedProperties"})  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"dependentSchemas", "patternProperties", "properties"})
_PLAIN = frozenset({"const", "contentEncoding", "contentMediaType", "default", "dependentRequired", "deprecated", "description",
                    "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems", "maxLength",
                    "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
                    "pattern", "required", "title", "type", "uniqueItems", "writeOnly"})  # fmt: skip
_LISTED = frozenset({"enum", "examples", "required"})
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class Schemas:
    """Those of one document; each that is referred to is converted once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[str, str] = {}  # reference → name under $defs
        self._taken: set[str] = set()
        self._referred: dict[str, tuple[Any, frozenset[str]]] = {}

    def convert(self, schema: Any, references: set[str]) -> Any:
        """`references` gets those that it makes. Raises Wrong and LeftOut."""
        return self._converted(schema, references, 0)

    def definitions(self, references: Iterable[str]) -> Json:
        """All that is behind the references, by name."""
        found: Json = {}
        waiting = sorted(references)  # each process names them alike
        while waiting:
            reference = waiting.pop()
            name = self._name(reference)
            if name not in found:
                found[name], further = self._behind(reference)
                waiting += sorted(further)
        return dict(sorted(found.items()))

    def _behind(self, reference: str) -> tuple[Any, frozenset[str]]:
        if reference not in self._referred:
            further: set[str] = set()
            schema = self.convert(self._document.at(reference), further)
            self._referred[reference] = schema, frozenset(further)
        return self._referred[reference]

    def _name(self, reference: str) -> str:
        if not isinstance(reference, str) or reference not in self._names:
            if not isinstance(self._document.at(reference), bool):
                self._document.object({"$ref": reference})
            plain = _NAME.sub("_", reference.rpartition("/")[2]) or "schema"
            name, count = plain, 1
            while name in self._taken:
                count += 1
                name = f"{plain}_{count}"
            self._taken.add(name)
            self._names[reference] = name
        return self._names[reference]

    def _converted(self, schema: Any, references: set[str], depth: int) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise Wrong("a schema must be an object")
        if depth > DEEPEST:
            raise LeftOut(f"a schema of it is nested deeper than {DEEPEST} levels")
        out: Json = {}
        if "$ref" in schema:
            out["$ref"] = f"#/$defs/{self._name(schema['$ref'])}"
            references.add(schema["$ref"])
            if self._document.old:
                return out  # what stands beside it says nothing there
        for key, value in schema.items():
            if key in _PLAIN and _sound(key, value):
                out[key] = value
            elif key in _ONE:
                out[key] = self._converted(value, references, depth + 1)
        return _modern(_writable(out | self._several(schema, references, depth + 1), schema), schema)

    def _several(self, schema: Mapping[str, Any], references: set[str], depth: int) -> Json:
        """The members that hold schemas in a list or by name."""
        out: Json = {}
        for key, value in schema.items():
            if key in _LISTS and isinstance(value, list):
                out[key] = [self._converted(each, references, depth) for each in value]
            elif key in _MAPS and isinstance(value, Mapping):
                out[key] = {
                    name: self._converted(each, references, depth)
                    for name, each in value.items()
                    if not _read_only(each)
                }
        return out


def _sound(key: str, value: Any) -> bool:
    """Documents in use say `required: true` or `type: file`; one such word makes a model's API refuse all tools."""
    if key == "type":
        return all(str(each) in _TYPES for each in (value if isinstance(value, list) else [value]))
    return key not in _LISTED or isinstance(value, list)


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
