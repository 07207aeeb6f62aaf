"""Each block of the tutorials that our users come from, beside the section of our file that says the same."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import foreign, load

CASES = sorted((Path(__file__).parent / "foreign").glob("*.theirs.yaml"))


class AnyName(defaultdict[str, str]):
    """An environment in which every variable is set."""

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]
        return "set"


@pytest.mark.parametrize("theirs", CASES, ids=lambda path: path.name.split(".")[0])
def test_a_known_shape_is_answered_with_ours(theirs: Path) -> None:
    found = foreign.translate(theirs.read_text())
    assert found is not None
    assert found.yaml() == theirs.with_name(theirs.name.replace("theirs", "ours")).read_text()


@pytest.mark.parametrize("theirs", CASES, ids=lambda path: path.name.split(".")[0])
def test_what_is_printed_is_a_valid_part_of_our_file(theirs: Path) -> None:
    found = foreign.translate(theirs.read_text())
    assert found is not None
    whole = {"routes": []} | found.file
    for route in whole["routes"]:
        assert "llm" in route or "mcp" in route or "policies" in route
    text = foreign.Translation(whole).yaml()
    load.loads(text, source="ours.yaml", folder=Path("."), env=AnyName())


@pytest.mark.parametrize("text", ["routes: []", "a: b", "- 1", "", "{", "store: 'memory:'"])
def test_other_text_is_not_mistaken_for_one(text: str) -> None:
    assert foreign.translate(text) is None


def test_an_openapi_target_is_a_server_by_its_document() -> None:
    target = {
        "name": "shop",
        "openapi": {"schema": {"file": "./shop.json"}, "host": "shop.example.com", "port": 443},
    }
    found = foreign.translate(
        yaml.safe_dump({"apiVersion": "v1", "kind": "MCPBackend", "spec": {"mcp": {"targets": [target]}}})
    )
    assert found is not None
    (route,) = found.file["routes"]
    assert route["mcp"]["servers"] == {
        "shop": {"openapi": "shop.json", "url": "https://shop.example.com:443"}
    }


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["x", "mcp", "jwt", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["jwt", "rules", "auth", "policies", "routes", "listeners", "mcp", "servers", "spec", "kind", "targets", "static", "request"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(
        ["binds", "policies", "llm", "models", "config", "mcp", "gateway", "mcpServers", "apiVersion"]
    ),
    DATA,
)
def test_a_file_of_ours_with_mistakes_never_trips_the_reader_of_theirs(key: str, value: object) -> None:
    found = foreign.translate(yaml.safe_dump({key: value}))
    assert found is None or found.yaml()


def test_our_own_file_is_answered_with_its_problems_only() -> None:
    ours = "policies: {auth: {jwt: [{issuer: x}]}}\nroutes: []\n"
    assert foreign.translate(ours) is None
