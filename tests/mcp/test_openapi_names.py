"""The names that operations and parameters get as tools and arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp.openapi import naming
from gateway.mcp.openapi.tool import BODY
from tests.mcp.apis import parameter
from tests.mcp.documents import found


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
