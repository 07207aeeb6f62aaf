"""The tree that `sam build` keeps beside a configuration says what the file says, and nothing when the file has changed."""

from pathlib import Path

import pytest

from gateway.config import tree
from gateway.config.load import Broken, load

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("infra/**/gateway.yaml")])


def reads(path: Path) -> object:
    """All that a reading finds: data with their lines, or every problem."""
    try:
        loaded = load(path, env={}, secrets=False)
    except Broken as broken:
        return broken.problems
    return loaded.data, loaded.lines


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_kept_tree_reads_as_the_file_does(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "gateway.yaml"
    copy.write_text(file.read_text())
    as_yaml = reads(copy)
    tree.keep(copy)
    assert tree.kept(copy, copy.read_text()) is not None
    assert reads(copy) == as_yaml


def test_an_alias_is_read_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("routes:\n- {path: /, llm: {providers: {a: &one {api_key: k}, b: *one}}}\n")
    tree.keep(file)
    assert load(file).data["routes"][0]["llm"]["providers"] == {"a": {"api_key": "k"}, "b": {"api_key": "k"}}


def test_a_file_that_has_changed_since_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    text = "routes: [{path: /, llm: {providers: {anthropic: {api_key: old}}}}]\n"
    file.write_text(text)
    tree.keep(file)
    file.write_text(text.replace("old", "new"))
    assert load(file).data["routes"][0]["llm"]["providers"]["anthropic"]["api_key"] == "new"


def test_half_a_tree_is_no_tree(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("routes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\n")
    tree.keep(file)
    beside = tmp_path / "gateway.yaml.tree"
    beside.write_text(beside.read_text()[:-20])
    assert load(file).data["routes"][0]["path"] == "/"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routes: [\n", "2: not YAML: did not find expected node content"),
        ("a: &loop [*loop]\n", "Circular|recursion"),
        ("a: \x00\n", "1: not YAML"),
    ],
)
def test_a_build_ends_where_the_file_is_no_yaml(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    assert tree.main([str(file)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}:")
    assert any(part in line for part in says.split("|"))
