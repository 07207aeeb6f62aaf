"""How arguments are written into a request, by the styles that the document names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.mcp.openapi.request import Unfit, request
from gateway.mcp.openapi.tool import Operation
from tests.mcp.apis import OK, body, parameter
from tests.mcp.documents import found, one


def operation(*parameters: dict[str, Any], path: str = "/x") -> Operation:
    read = found({path: {"get": {"operationId": "x", "parameters": list(parameters), **OK}}})
    assert (read.problems, read.left_out) == ([], [])
    return read.operations["x"]


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


def test_a_parameter_in_json_holds_whatever_json_does() -> None:
    content = {"application/json; charset=utf-8": {"schema": {}}}
    asked = operation({"name": "p", "in": "query", "content": content})
    assert request(asked, {"p": [1 << 70]}, {}).target == "/x?p=%5B1180591620717411303424%5D"
