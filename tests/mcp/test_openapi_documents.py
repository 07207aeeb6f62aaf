"""What a document must hold, and what becomes of its schemas, names and styles."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.errors import ConfigError
from gateway.mcp.openapi import naming
from gateway.mcp.openapi.document import Document, LeftOut, Wrong
from gateway.mcp.openapi.operations import MOST, Found, read
from gateway.mcp.openapi.request import Unfit, request
from gateway.mcp.openapi.schemas import Schemas
from gateway.mcp.openapi.tool import BODY, Operation
from gateway.mcp.openapi.upstream import OpenApiUpstream
from gateway.net.pool import Pool
from tests.mcp.apis import OK, body, document, parameter

URL = "https://api.example.com"


def one(**said: Any) -> dict[str, Any]:
    return {"/x": {"post": {"operationId": "x", **OK, **said}}}


def found(paths: Any, *, version: str = "3.1.0", wanted: tuple[str, ...] = (), **more: Any) -> Found:
    return read(Document(document(paths, version=version, **more)), wanted=wanted, based=True)


def operation(*parameters: dict[str, Any], path: str = "/x") -> Operation:
    read = found({path: {"get": {"operationId": "x", "parameters": list(parameters), **OK}}})
    assert (read.problems, read.left_out) == ([], [])
    return read.operations["x"]


def schema(given: Any, *, version: str = "3.1.0", **components: Any) -> Any:
    read = found(one(requestBody=body(given)), version=version, components={"schemas": components})
    assert (read.problems, read.left_out) == ([], [])
    made = read.operations["x"].tool["inputSchema"]
    jsonschema.Draft202012Validator.check_schema(made)
    shown = dict(made["properties"]["body"])
    shown.pop("description", None)
    return shown | ({"$defs": made["$defs"]} if "$defs" in made else {})


def problems(tree: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        OpenApiUpstream("s", tree, client=Pool(proxies=None), **options)
    return str(caught.value).splitlines()


# -- what is wrong with a document


@pytest.mark.parametrize("version", ["2.0", "3.2.0", "4.0.0", "", "3.10.0", None])
def test_only_documents_of_3_0_and_3_1_are_read(version: Any) -> None:
    assert "3.0 and 3.1 can be read" in problems({"openapi": version, "paths": {}})[0]


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        (None, "it names no server"),
        ([], "it names no server"),
        ([{"url": "/v1"}], "its server is '/v1'"),
        ([{"url": "ftp://a.example"}], "its server is 'ftp://a.example'"),
        ([{"url": "https://a.example/?x=1"}], "a host and a path"),
        ([{"url": "https://user:secret@a.example"}], "a host and a path"),
        ([{"url": "https://a.example/\r\nx: y"}], "a host and a path"),
        ([{"url": "https://{region}.a.example"}], "'region' has no default"),
        (["https://a.example"], "must hold objects"),
        ([{"url": "https://[::1/v1"}], "no host and port"),
        ([{"url": "https://a.example:port"}], "no host and port"),
        ([{"url": "https://a.example:99999"}], "no host and port"),
        ([{"url": "ftp://user:secret@a.example"}], "its server is 'a.example'"),
    ],
)
def test_a_document_without_a_base_url_is_refused(servers: Any, said: str) -> None:
    told = problems(document(one(), **({} if servers is None else {"servers": servers})))
    assert len(told) == 1
    assert said in told[0]
    assert "secret" not in told[0]


def test_a_servers_variables_have_their_defaults_and_the_given_url_stands_for_all() -> None:
    server = {"url": "https://{region}.a.example/v1/", "variables": {"region": {"default": "eu"}}}
    read = Document(document(one(), servers=[server]))
    assert read.base("") == "https://eu.a.example/v1"
    assert read.base("http://127.0.0.1:1/") == "http://127.0.0.1:1"


def test_everything_that_is_wrong_is_said_at_once_with_its_place() -> None:
    paths = {
        "/a": {"get": {"operationId": "same", **OK}},
        "/b": {"get": {"operationId": "same", **OK}},
        "/c": {"get": {"parameters": [{"$ref": "#/components/parameters/none"}], **OK}},
        "/d": {"$ref": "other.yaml#/paths/d"},
        "/e/{id}": {"get": OK},
        "/f": {"get": {"parameters": [parameter("id", "path")], **OK}},
        "/g": {"post": {"requestBody": body({"$ref": "https://evil.example/schema"}), **OK}},
        "/h": {"post": {"requestBody": body({"$ref": "#/components/schemas/Loop"}), **OK}},
        "@evil.example/": {"get": OK},
        "/i": {"get": "text", "post": {"parameters": {"a": 1}}, "put": {"parameters": [{"name": 1, "in": "query"}]}},
        "/j": {"post": {"requestBody": {}}},
        "/k": {"post": {"requestBody": body("text")}},
        "/l": {"get": {"$ref": "l.yaml"}},
    }  # fmt: skip
    loop = {"components": {"schemas": {"Loop": {"$ref": "#/components/schemas/Loop"}}}}
    told = problems(document(paths, **loop), operations=["same", "nothing*"])
    assert told == [
        "has no base URL (it names no server): give the server's url",
        "paths./b.get: is called 'same', as paths./a.get is",
        "paths./d: $ref 'other.yaml#/paths/d' leads out of the document; only #/… is followed",
        "paths.@evil.example/: a path must begin with /",
        "paths./i.get: must be an object",
        "paths./l.get: $ref 'l.yaml' leads out of the document; only #/… is followed",
        "operations: none is called 'nothing*'",
    ]
    assert problems(document(paths, **loop), url=URL) == [
        "paths./b.get: is called 'same', as paths./a.get is",
        "paths./d: $ref 'other.yaml#/paths/d' leads out of the document; only #/… is followed",
        "paths.@evil.example/: a path must begin with /",
        "paths./i.get: must be an object",
        "paths./l.get: $ref 'l.yaml' leads out of the document; only #/… is followed",
        "paths./c.get: $ref '#/components/parameters/none' leads to nothing",
        "paths./e/{id}.get: {id} must stand in the path and among its parameters",
        "paths./f.get: {id} must stand in the path and among its parameters",
        "paths./g.post: $ref 'https://evil.example/schema' leads out of the document; only #/… is followed",
        "paths./h.post: $ref '#/components/schemas/Loop' leads back to itself",
        "paths./i.put: a parameter needs a name, and in: path, query, header, cookie",
        "paths./i.post: parameters must be a list",
        "paths./j.post: requestBody: content is missing",
        "paths./k.post: a schema must be an object, and not 'text'",
    ]


def test_a_document_of_many_files_does_not_fill_the_screen() -> None:
    paths = {f"/{n}": {"get": {"$ref": f"{n}.yaml"}} for n in range(300)}
    told = problems(document(paths), url=URL)
    assert (len(told), told[-1]) == (21, "and 280 more")


@pytest.mark.parametrize("paths", [None, [], {}, {"/x": {"options": OK, "x-y": 1}}])
def test_a_document_that_offers_nothing_is_refused(paths: Any) -> None:
    assert problems(document(paths), url=URL) == ["no operation can be offered"]


def test_a_document_of_too_many_operations_asks_for_a_choice() -> None:
    paths = {f"/{n}": {"get": {"operationId": f"o{n}"}} for n in range(MOST + 1)}
    assert problems(document(paths), url=URL)[0].startswith(f"{MOST + 1} operations, and {MOST} are the most")
    assert len(found(paths, wanted=("o1*",)).operations) == 112


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"requestBody": body({}, "multipart/form-data")}, "its body is multipart/form-data"),
        ({"parameters": [parameter("a", style="matrix")]}, "has the style 'matrix'"),
        ({"parameters": [parameter("a", style=["form"])]}, "has the style"),
        ({"parameters": [parameter("a", "cookie", style="simple")]}, "has the style 'simple'"),
        ({"parameters": [{"name": "a", "in": "query", "content": {"text/xml": {}}}]}, "is written as text/xml"),
        ({"parameters": [parameter("a\r\nb: c", "header")]}, "cannot be the name of a header"),
        ({"parameters": [parameter("a;b", "cookie")]}, "cannot be the name of a cookie"),
        ({"requestBody": body({"description": "x" * 70_000})}, "bytes, and 65536 are the most"),
        ({"requestBody": {"content": {"application/x-www-form-urlencoded": {"encoding": {"a": {"style": "matrix"}}}}}},
         "has the style 'matrix'"),
        ({"requestBody": body({"maximum": 1 << 70})}, "cannot be written as JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_left_out_alone(said: Any, why: str) -> None:
    read = found(one(**said) | {"/y": {"get": {"operationId": "y"}}})
    assert (list(read.operations), read.problems) == (["y"], [])
    assert len(read.left_out) == 1
    assert read.left_out[0].startswith("paths./x.post: ")
    assert why in read.left_out[0]


@pytest.mark.parametrize("path", ["/../x", "/a/..", "/./x", "/x?kind=all", "/#kind=all", "/a\\b"])
def test_a_path_that_is_more_than_one_is_left_out(path: str) -> None:
    (said,) = found({path: {"get": OK}, "/y..z/...": {"get": OK}}).left_out
    assert said == f"paths.{path}.get: its path holds ?, #, a backslash or the steps . and .."


def test_a_reference_that_yaml_takes_for_a_comment_is_told_as_one() -> None:
    (said,) = found(one(parameters=[{"$ref": None}])).problems
    assert said == "paths./x.post: $ref is empty: in YAML, # begins a comment unless it stands in quotes"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("string", "a schema must be an object, and not 'string'"),
        ({"$ref": "#/none"}, "$ref '#/none' leads to nothing"),
    ],
)
def test_what_is_wrong_behind_a_reference_is_told_with_its_place(wrong: Any, said: str) -> None:
    schemas = {"A": {"items": {"$ref": "#/components/schemas/B"}}, "B": {"properties": {"name": wrong}}}
    read = found(one(requestBody=body({"$ref": "#/components/schemas/A"})), components={"schemas": schemas})
    assert read.problems == [f"paths./x.post: #/components/schemas/B: {said}"]


def test_extensions_and_empty_lists_of_servers_are_nothing_wrong() -> None:
    paths = {
        "x-origin": "text",
        "/x": {"x-owner": [], "servers": [], "get": {"operationId": "x", "servers": []}},
    }
    made = read(Document(document(paths, servers=[{"url": URL}])))
    assert (list(made.operations), made.problems, made.left_out) == (["x"], [], [])


def test_a_document_of_swagger_is_named_as_one() -> None:
    assert problems({"swagger": "2.0"}) == ["says swagger: 2.0; 3.0 and 3.1 can be read"]


def test_an_operation_with_a_server_of_its_own_is_left_out_unless_the_url_is_given() -> None:
    paths = one(servers=[{"url": "https://elsewhere.example"}]) | {"/y": {"get": {"operationId": "y"}}}
    tree = document(paths, servers=[{"url": URL}])
    assert "servers of its own" in read(Document(tree)).left_out[0]
    assert list(read(Document(tree), based=True).operations) == ["x", "y"]


def test_a_schema_nested_without_end_is_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"items": deep}
    with pytest.raises(LeftOut, match="nested deeper"):
        Schemas(Document(document({}))).convert(deep, set())


# -- schemas

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


# -- names


@pytest.mark.parametrize(
    ("name", "made"),
    [("getPet", "getPet"), ("pets/list", "pets_list"), ("Ünï.do it", "n_do_it"), ("日本", "operation"), ("a" * 64, "a" * 64)],
)  # fmt: skip
def test_a_name_becomes_one_that_every_model_takes(name: str, made: str) -> None:
    assert naming.tool(name, where="p", taken=()) == made


def test_names_that_would_be_the_same_stay_apart() -> None:
    paths = {
        "/a": {"get": {"operationId": "a/b"}, "post": {"operationId": "a.b"}},
        "/p/{id}": {"get": {"parameters": [parameter("id", "path")]}}, "/p/id": {"get": {}}, "/p-id": {"get": {"operationId": "get_p_id"}},
    }  # fmt: skip
    names = list(found(paths).operations)
    assert len(names) == 5
    assert names[0] == "a_b"
    assert names[1].startswith("a_b_")
    assert names[2] == "get_p_id"


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True))
def test_whatever_operations_are_called_each_has_a_tool_of_its_own(names: list[str]) -> None:
    read = found({f"/{at}": {"get": {"operationId": name}} for at, name in enumerate(names)})
    assert len(read.operations) == len(names)
    assert all(len(name) <= 64 and name.isascii() for name in read.operations)


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["path", "query"])), unique=True, max_size=20))
def test_whatever_parameters_are_called_each_has_an_argument_of_its_own(names: list[tuple[str, str]]) -> None:
    made = naming.arguments(names, reserved=[BODY])
    assert len(set(made)) == len(names)
    assert all(1 <= len(name) <= 64 for name in made)
    assert BODY not in made


def test_an_operations_parameter_stands_for_its_paths_of_the_same_name() -> None:
    item = {"parameters": [parameter("a", description="old"), parameter("b")], "get": {"operationId": "x", "parameters": [parameter("a", description="new")]}}  # fmt: skip
    properties = found({"/x": item}).operations["x"].tool["inputSchema"]["properties"]
    assert {name: each.get("description") for name, each in properties.items()} == {"a": "new", "b": None}


# -- styles

LIST, OBJECT = ["a", "b&c"], {"k": "v", "n": 1}


@pytest.mark.parametrize(
    ("said", "value", "query"),
    [
        ({}, LIST, "p=a&p=b%26c"),
        ({"explode": False}, LIST, "p=a,b%26c"),
        ({"style": "spaceDelimited", "explode": False}, LIST, "p=a%20b%26c"),
        ({"style": "pipeDelimited", "explode": False}, LIST, "p=a%7Cb%26c"),
        ({}, OBJECT, "k=v&n=1"),
        ({"explode": False}, OBJECT, "p=k,v,n,1"),
        ({"style": "deepObject", "explode": True}, OBJECT, "p%5Bk%5D=v&p%5Bn%5D=1"),
        ({"style": "deepObject"}, {"a": {"b": [1, 2]}}, "p%5Ba%5D%5Bb%5D=1&p%5Ba%5D%5Bb%5D=2"),
        ({"schema": None, "content": {"application/json": {}}}, {"a": 1}, "p=%7B%22a%22%3A1%7D"),
        ({}, "a=b&c#d", "p=a%3Db%26c%23d"),
        ({}, False, "p=false"),
        ({}, 2.5, "p=2.5"),
        ({}, [], ""),
        ({}, [None], "p="),
        ({}, "", "p="),
    ],
)
def test_a_query_is_written_in_its_style(said: Any, value: Any, query: str) -> None:
    made = request(operation(parameter("p", **said)), {"p": value}, {})
    assert made.target == "/x" + (f"?{query}" if query else "")


@pytest.mark.parametrize(
    ("said", "value", "path"),
    [({}, LIST, "a,b%26c"), ({}, OBJECT, "k,v,n,1"), ({"explode": True}, OBJECT, "k=v,n=1")],
)
def test_a_path_is_written_in_its_style(said: Any, value: Any, path: str) -> None:
    made = request(operation(parameter("p", "path", **said), path="/x/{p}.json"), {"p": value}, {})
    assert made.target == f"/x/{path}.json"


@pytest.mark.parametrize(
    ("said", "value"),
    [({}, {"limit": 9}), ({"style": "deepObject"}, {"x": 1}), ({"explode": True}, {"a b": 1})],
)
def test_no_value_can_say_what_another_argument_says(said: Any, value: Any) -> None:
    others = [parameter("limit"), parameter("p[x]"), parameter("a b")]
    with pytest.raises(Unfit, match="which is asked for by itself"):
        request(operation(*others, parameter("p", **said)), {"p": value}, {})


FIELDS = {
    "tags": {"explode": False}, "meta": {"style": "deepObject", "explode": True}, "more": {"contentType": "application/json"},
    "note": {"contentType": "text/plain"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"tags": ["a", "b,c"]}, "tags=a,b%2Cc"),
        ({"meta": {"k": "v", "in": {"n": 1}}}, "meta%5Bk%5D=v&meta%5Bin%5D%5Bn%5D=1"),
        ({"more": {"a": [1, None]}}, "more=%7B%22a%22%3A%5B1%2Cnull%5D%7D"),
        (
            {"note": "é &", "other": [1, 2], "off": False, "no": None},
            "note=%C3%A9%20%26&other=1&other=2&off=false&no=",
        ),
    ],
)
def test_a_forms_fields_are_written_as_the_document_says(value: Any, sent: str) -> None:
    form = {"content": {"application/x-www-form-urlencoded": {"encoding": FIELDS}}}
    asked = found(one(requestBody=form)).operations["x"]
    assert request(asked, {"body": value}, {}).body == sent.encode()
    with pytest.raises(Unfit, match="'body' is nested deeper"):
        request(asked, {"body": {"other": {"a": 1}}}, {})
    with pytest.raises(Unfit, match="may not hold 'meta\\[k\\]'"):
        request(asked, {"body": {"meta": {"k": 1}, "meta[k]": 2}}, {})


def test_a_header_holds_a_list_in_one_line() -> None:
    made = request(operation(parameter("X-P", "header")), {"X-P": ["a", 1, True]}, {})
    assert made.headers == [(b"x-p", b"a,1,true")]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"style": "deepObject"}, "a"),
        ({}, [[1]]),
        ({}, {"a": {"b": 1}}),
        ({"style": "deepObject"}, {"a": [{}]}),
    ],
)
def test_what_a_style_cannot_say_is_the_arguments_fault(said: Any, value: Any) -> None:
    with pytest.raises(Unfit, match="'p'"):
        request(operation(parameter("p", **said)), {"p": value}, {})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_whatever_the_value_it_stays_in_its_segment_and_its_line(value: Any) -> None:
    asked = operation(
        parameter("a", "path"),
        parameter("b"),
        parameter("H", "header"),
        parameter("c", "cookie"),
        path="/x/{a}/y",
    )
    try:
        made = request(asked, {"a": value, "b": value, "H": value, "c": value}, {})
    except (Unfit, UnicodeEncodeError):  # half of a surrogate pair never comes out of JSON
        return
    path = made.target.partition("?")[0]
    assert path.isascii()
    assert path.isprintable()
    assert path.count("/") == 3
    assert path.split("/")[2] not in ("", ".", "..")
    assert "#" not in made.target
    assert not any(b"\n" in each or b"\r" in each for _, each in made.headers)


def test_a_body_is_what_came() -> None:
    asked = found(one(requestBody=body({}))).operations["x"]
    made = request(asked, {"body": None}, {"body": Raw(b" null")})
    assert (made.body, made.headers) == (b" null", [(b"content-type", b"application/json")])
    assert request(asked, {}, {}).headers == []


def test_a_document_that_leads_nowhere_says_so() -> None:
    with pytest.raises(Wrong, match="leads to nothing"):
        Document(document({})).at("#/paths/0/~2")


def test_a_parameter_in_json_holds_whatever_json_does() -> None:
    content = {"application/json; charset=utf-8": {"schema": {}}}
    asked = operation({"name": "p", "in": "query", "content": content})
    assert request(asked, {"p": [1 << 70]}, {}).target == "/x?p=%5B1180591620717411303424%5D"
