"""What becomes of a document's schemas in the definition of a tool."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from gateway.mcp.openapi.document import Document, LeftOut
from gateway.mcp.openapi.schemas import Schemas
from tests.mcp.apis import OK, body, document
from tests.mcp.documents import found, one


def schema(given: Any, *, version: str = "3.1.0", **components: Any) -> Any:
    read = found(one(requestBody=body(given)), version=version, components={"schemas": components})
    assert (read.problems, read.left_out) == ([], [])
    made = read.operations["x"].tool["inputSchema"]
    jsonschema.Draft202012Validator.check_schema(made)
    shown = dict(made["properties"]["body"])
    shown.pop("description", None)
    return shown | ({"$defs": made["$defs"]} if "$defs" in made else {})


def test_a_schema_nested_without_end_is_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"items": deep}
    with pytest.raises(LeftOut, match="nested deeper"):
        Schemas(Document(document({}))).convert(deep, set())


NODE = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_schema_that_holds_itself_stays_finite(version: str) -> None:
    made = schema({"$ref": "#/components/schemas/Node"}, version=version, Node=NODE)
    assert made["$ref"] == "#/$defs/Node"
    assert made["$defs"] == {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}


def test_only_what_is_referred_to_stands_in_a_tool() -> None:
    made = schema(
        {"$ref": "#/components/schemas/A"}, A={"items": {"$ref": "#/components/schemas/B"}}, B={}, C={}
    )
    assert list(made["$defs"]) == ["A", "B"]


def test_schemas_that_all_lead_to_each_other_cost_their_size_once() -> None:
    each = {"properties": {f"p{n}": {"$ref": f"#/components/schemas/S{n}"} for n in range(100)}}
    schemas = {f"S{n}": {**each, "title": "x" * n * 100} for n in range(100)}
    paths = {
        f"/{n}": {"post": {"requestBody": body({"$ref": f"#/components/schemas/S{n}"})}} for n in range(100)
    }
    read = found({**paths, "/y": {"get": OK}}, components={"schemas": schemas})
    assert (len(read.operations), len(read.left_out)) == (1, 100)
    assert read.left_out[0] == "paths./0.post: its definition has more than 65536 bytes"


def test_references_of_one_name_to_two_places_stay_two() -> None:
    given = {"allOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B/properties/A"}]}
    made = schema(given, A={"type": "string"}, B={"properties": {"A": {"type": "integer"}}})
    assert made["allOf"] == [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A_6f767275"}]
    assert made["$defs"] == {"A": {"type": "string"}, "A_6f767275": {"type": "integer"}}


def test_what_else_a_document_holds_changes_no_definition() -> None:
    schemas = {name: {"properties": {"id": {"title": name}}} for name in ("A", "B", "C")}
    paths = {
        f"/{name}": {"post": {"operationId": name, "requestBody": body({"$ref": f"#/components/schemas/{name}/properties/id"})}}
        for name in schemas
    }  # fmt: skip
    more = {"components": {"schemas": schemas}}
    alone = found({"/C": paths["/C"]}, **more)
    assert found(paths, **more).operations["C"].tool == alone.operations["C"].tool
    assert found(paths, wanted=("C",), **more).operations["C"].tool == alone.operations["C"].tool


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("#/components/schemas/a~1b", "a/b"),
        ("#/components/schemas/a~0b", "a~b"),
        ("#/components/schemas/a%20b", "a b"),
    ],
)
def test_references_are_read_with_their_escapes(reference: str, place: str) -> None:
    (made,) = schema({"$ref": reference}, **{place: {"const": 1}})["$defs"].values()
    assert made == {"const": 1}


@pytest.mark.parametrize(
    ("version", "given", "made"),
    [
        ("3.0.3", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ("3.0.3", {"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ("3.0.3", {"oneOf": [{"type": "string"}], "nullable": True}, {"anyOf": [{"oneOf": [{"type": "string"}]}, {"type": "null"}]}),
        ("3.0.3", {"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ("3.0.3", {"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ("3.0.3", {"exclusiveMinimum": True}, {}),
        ("3.1.0", {"exclusiveMinimum": 1}, {"exclusiveMinimum": 1}),
        ("3.1.0", {"type": ["string", "null"], "examples": ["a"]}, {"type": ["string", "null"], "examples": ["a"]}),
        ("3.1.0", {"prefixItems": [{"type": "string"}, True], "items": False}, {"prefixItems": [{"type": "string"}, True], "items": False}),
        ("3.0.3", {"type": "object", "required": ["a", "b"], "properties": {"a": {"readOnly": True}, "b": {}}},
                  {"type": "object", "required": ["b"], "properties": {"b": {}}}),
        ("3.0.3", {"properties": {"x-y": {}, "$ref": {}, "example": {"type": "string"}}},
                  {"properties": {"x-y": {}, "$ref": {}, "example": {"type": "string"}}}),
        ("3.0.3", {"example": 1, "xml": {}, "discriminator": {}, "x-mcp-header": "Authorization", "$id": "u", "$schema": "u"}, {}),
        ("3.0.3", {"type": "file"}, {}),
        ("3.0.3", {"type": [{}]}, {}),
        ("3.1.0", {"type": []}, {}),
        ("3.1.0", {"type": ["string", "string"]}, {}),
        ("3.0.3", {"title": 404, "description": 1.5, "pattern": 12, "format": None, "deprecated": "yes", "uniqueItems": 1}, {}),
        ("3.0.3", {"minLength": "3", "maxLength": -1, "minItems": 0.5, "maxItems": None, "maximum": "9", "minimum": True,
                   "exclusiveMinimum": "1", "multipleOf": 0}, {}),
        ("3.0.3", {"maximum": float("inf"), "minLength": 1.0, "multipleOf": 0.01}, {"minLength": 1.0, "multipleOf": 0.01}),
        ("3.1.0", {"required": ["a", "a"], "dependentRequired": {"a": "b"}, "allOf": [], "anyOf": []}, {}),
        ("3.1.0", {"dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ("3.0.3", {"items": [{"type": "string"}, {"nullable": True, "type": "integer"}]},
                  {"prefixItems": [{"type": "string"}, {"type": ["integer", "null"]}]}),
        ("3.0.3", {"type": "string", "required": True, "enum": "a", "examples": {}}, {"type": "string"}),
        ("3.1.0", {"default": {"$ref": "#/x"}, "const": {"nullable": True}}, {"default": {"$ref": "#/x"}, "const": {"nullable": True}}),
    ],
)  # fmt: skip
def test_a_schema_becomes_json_schema(version: str, given: Any, made: Any) -> None:
    assert schema(given, version=version) == made


def test_what_stands_beside_a_reference_counts_since_3_1() -> None:
    given = {"$ref": "#/components/schemas/A", "description": "one"}
    for version, beside in (("3.0.3", {}), ("3.1.0", {"description": "one"})):
        converted = Schemas(
            Document(document({}, version=version, components={"schemas": {"A": {}}}))
        ).convert(given, set())
        assert converted == {"$ref": "#/$defs/A", **beside}
