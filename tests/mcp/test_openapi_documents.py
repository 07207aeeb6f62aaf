"""What a document must hold, and what is said of one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.mcp.openapi.document import Document, Wrong
from gateway.mcp.openapi.operations import MOST, read
from gateway.mcp.openapi.upstream import OpenApiUpstream
from gateway.net.pool import Pool
from tests.mcp.apis import OK, body, document, parameter
from tests.mcp.documents import found, one

URL = "https://api.example.com"


def problems(tree: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        OpenApiUpstream("s", tree, client=Pool(proxies=None), **options)
    return str(caught.value).splitlines()


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


def test_a_document_that_leads_nowhere_says_so() -> None:
    with pytest.raises(Wrong, match="leads to nothing"):
        Document(document({})).at("#/paths/0/~2")
