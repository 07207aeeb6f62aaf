"""Tools' schemas for Gemini: what it is known to take stays, what it may refuse is said in another way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.llm.dialects.schema import clean, openapi

S = {"type": "string"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


CLEAN: dict[str, tuple[Any, Any]] = {
    "a plain schema is itself": ({**obj(a=S), "required": ["a"], "additionalProperties": False}, {**obj(a=S), "required": ["a"], "additionalProperties": False}),
    "$schema and other notes go": ({"$schema": "x", "$id": "y", "$comment": "z", "examples": [1], **obj(a=S)}, obj(a=S)),
    "patterns of names and conditions go": ({**obj(a=S), "propertyNames": S, "patternProperties": {"x": S}, "if": {}, "then": {}, "not": {}}, obj(a=S)),
    "const is an enum of one": (obj(a={"const": 3}), obj(a={"enum": [3]})),
    "exclusive bounds and format are said": (obj(a={"type": "number", "exclusiveMinimum": 0, "format": "double", "description": "How many."}),
                                             obj(a={"type": "number", "description": "How many. (format: double; greater than: 0)"})),
    "bounds, lengths, patterns stay": (obj(a={"type": "string", "minLength": 1, "pattern": "^a"}), obj(a={"type": "string", "minLength": 1, "pattern": "^a"})),
    "oneOf is anyOf": (obj(a={"oneOf": [S, {"type": "null"}]}), obj(a={"anyOf": [S, {"type": "null"}]})),
    "allOf is merged": (obj(a={"allOf": [{**obj(x=S), "required": ["x"]}, {**obj(y=S), "description": "Both."}]}),
                        obj(a={**obj(x=S, y=S), "required": ["x"], "description": "Both."})),
    "definitions are $defs, and a reference has no siblings": (
        {**obj(a={"$ref": "#/definitions/T", "description": "lost"}), "definitions": {"T": obj(b=S)}},
        {**obj(a={"$ref": "#/$defs/T"}), "$defs": {"T": obj(b=S)}}),
    "definitions that nobody refers to go": ({**obj(a=S), "$defs": {"T": S}}, obj(a=S)),
    "a cycle through a required property becomes optional": (
        {**obj(n={"$ref": "#/$defs/N"}), "$defs": {"N": {**obj(next={"$ref": "#/$defs/N"}, v=S), "required": ["next", "v"]}}},
        {**obj(n={"$ref": "#/$defs/N"}), "$defs": {"N": {**obj(next={"$ref": "#/$defs/N"}, v=S), "required": ["v"]}}}),
    "a pointer elsewhere is followed": (obj(a=obj(x=S), b={"$ref": "#/properties/a"}), obj(a=obj(x=S), b=obj(x=S))),
    "a reference to the whole is any object": (obj(a={"$ref": "#"}), obj(a={"type": "object"})),
    "a reference outside says nothing": (obj(a={"$ref": "https://evil/x.json"}), obj(a={})),
    "true and false are any": (obj(a=True, b=False), obj(a={}, b={})),
    "a list of items is a prefix": (obj(a={"type": "array", "items": [S, S]}), obj(a={"type": "array", "prefixItems": [S, S]})),
    "keys under properties are names": (obj(**{"$ref": S, "const": S, "type": S, "properties": S, "format": S}),
                                        obj(**{"$ref": S, "const": S, "type": S, "properties": S, "format": S})),
    "required names that do not exist go": ({**obj(a=S), "required": ["a", "b", 3]}, {**obj(a=S), "required": ["a"]}),
    "words of other types go": ({**obj(a={"type": {"$ref": "x"}, "description": 3, "enum": "x"}), "type": "thing"}, obj(a={})),
    "not a schema at all": ("string", {"type": "object"}),
    "a reference as the whole": ({"$ref": "#/$defs/T", "$defs": {"T": obj(a=S)}}, obj(a=S)),
    "no type": ({"properties": {"a": S}}, obj(a=S)),
}  # fmt: skip


@pytest.mark.parametrize("case", CLEAN)
def test_schemas_are_cleaned(case: str) -> None:
    schema, expected = CLEAN[case]
    assert clean(schema) == expected


OPENAPI: dict[str, tuple[Any, Any]] = {
    "types in capitals": (obj(a={"type": "integer", "default": 1}), {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}),
    "null is nullable": (obj(a={"type": ["string", "null"]}), {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}),
    "anyOf with null too": (obj(a={"anyOf": [S, {"type": "null"}], "description": "D"}), {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True, "description": "D"}}}),
    "arrays have items": (obj(a={"type": "array"}), {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}}}),
    "enums are strings, none empty": (obj(a={"enum": ["x", "", 3]}), {"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["x"]}}}),
    "references are inlined, cycles end": (
        {**obj(n={"$ref": "#/$defs/N"}), "$defs": {"N": obj(next={"$ref": "#/$defs/N"})}},
        {"type": "OBJECT", "properties": {"n": {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}}}}}),
    "additionalProperties go": ({**obj(a=S), "additionalProperties": False}, {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}),
}  # fmt: skip


@pytest.mark.parametrize("case", OPENAPI)
def test_the_older_dialect_has_everything_in_place(case: str) -> None:
    schema, expected = OPENAPI[case]
    assert openapi(schema) == expected


WORDS = st.sampled_from(["type", "properties", "items", "$ref", "$defs", "definitions", "allOf", "anyOf", "oneOf", "const", "enum",
                         "required", "format", "additionalProperties", "prefixItems", "not", "a", "T"])  # fmt: skip
LEAVES = st.sampled_from(
    ["string", "object", "#/$defs/T", "#", "#/properties/a", "#/allOf/0", 1, True, None, "T"]
)
HOSTILE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300)
@given(st.dictionaries(WORDS, HOSTILE, max_size=5))
def test_any_json_is_cleaned_without_breaking(schema: dict[str, Any]) -> None:
    cleaned = clean(schema)
    assert isinstance(cleaned, dict)
    dangling = {name for name in references(cleaned) if name not in cleaned.get("$defs", {})}
    assert not dangling
    assert not references(openapi(schema))


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for each in node for name in references(each)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/$defs/")} if isinstance(node.get("$ref"), str) else set()
    return own | {name for key, each in node.items() if key != "enum" for name in references(each)}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = dict(S)
    for _ in range(depth):
        schema = obj(a=schema)
    return schema


def test_depth_ends() -> None:
    deep = orjson.dumps(clean(nested(100)))
    assert deep.count(b"properties") < 60
    with pytest.raises(BadRequest, match="deep"):
        clean(nested(2_000))


def test_a_reference_that_points_at_itself_ends() -> None:
    assert clean(obj(a={"$ref": "#/properties/a"}))["properties"]["a"] == {}
    looped = {"allOf": [{"$ref": "#"}], **obj(a=S)}
    assert clean(looped)["properties"] == {"a": S}
