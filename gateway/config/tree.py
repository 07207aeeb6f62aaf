"""A configuration file as YAML has it: nodes with their lines, before anybody asks what they mean.

`sam build` keeps this tree beside the file (`python -m gateway.config.tree FILE`), so that a cold start loads no YAML library.
It runs there beside wheels of another architecture: nothing here may need one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

DEEPEST = 100
KEPT = ".tree"  # gateway.yaml.tree


class NotYaml(Exception):
    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text
        super().__init__(f"{line}: not YAML: {text}")


class Scalar:
    __slots__ = ("line", "tag", "text")

    def __init__(self, line: int, text: str, tag: str) -> None:
        self.line, self.text, self.tag = line, text, tag

    @property
    def null(self) -> bool:
        return self.tag.endswith(":null")

    def plain(self) -> Any:
        """What YAML takes it for: a number, a date, true …"""
        from yaml.constructor import SafeConstructor
        from yaml.nodes import ScalarNode

        return SafeConstructor().construct_object(ScalarNode(self.tag, self.text))


class List:
    __slots__ = ("items", "line")

    def __init__(self, line: int, items: list[Node]) -> None:
        self.line, self.items = line, items


class Map:
    __slots__ = ("line", "pairs")

    def __init__(self, line: int, pairs: list[tuple[Scalar, Node]]) -> None:
        self.line, self.pairs = line, pairs


Node = Scalar | List | Map


def read(text: str) -> Node | None:
    """None of an empty file. Raises NotYaml."""
    import yaml

    try:
        root = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, before = (mark.line, _before(text, mark.line, mark.column)) if mark else (0, "")
        problem = "a tab cannot indent; use spaces" if "\t" in before and before.isspace() else error.problem
        raise NotYaml(line + 1, problem or "") from None
    except yaml.YAMLError as error:  # a character that no YAML may hold
        raise NotYaml(1, str(error).splitlines()[0]) from None
    return None if root is None else _ours(root, {})


def _before(text: str, line: int, column: int) -> str:
    """What stands in this line up to this column, and there."""
    return "".join(text.split("\n")[line : line + 1])[: column + 1]


def _composed(text: str) -> yaml.Node | None:
    """The depth is looked at first: composing recurses, and libyaml's own way to fail ends the process."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise NotYaml(event.start_mark.line + 1 if event.start_mark else 1, "nested too deeply")
    return yaml.compose(text, Loader=loader)


def _ours(node: yaml.Node, known: dict[int, Node]) -> Node:
    """An alias is the node that it stands for, not a copy: a file cannot grow by them."""
    from yaml.nodes import MappingNode, SequenceNode

    if id(node) in known:
        return known[id(node)]
    line = node.start_mark.line + 1
    if isinstance(node, SequenceNode):
        many = known[id(node)] = List(line, [])
        many.items += [_ours(each, known) for each in node.value]
        return many
    if isinstance(node, MappingNode):
        pairs = known[id(node)] = Map(line, [])
        pairs.pairs += [(_key(key), _ours(value, known)) for key, value in node.value]
        return pairs
    return Scalar(line, node.value, node.tag)


def _key(node: yaml.Node) -> Scalar:
    line = node.start_mark.line + 1
    if not isinstance(node.value, str):
        raise NotYaml(line, "a key must be a word, no list and no mapping")
    return Scalar(line, node.value, node.tag)


def keep(path: Path) -> None:
    """Beside the file. Raises NotYaml, or ValueError where an alias stands inside what it names."""
    text = path.read_text(encoding="utf-8")
    root = read(text)
    kept = [text, None if root is None else _packed(root)]
    path.with_name(path.name + KEPT).write_text(json.dumps(kept, separators=(",", ":")), encoding="utf-8")


def kept(path: Path, text: str) -> Node | None:
    """The tree that was kept of the file, if this is still its text."""
    try:
        told, root = json.loads(path.with_name(path.name + KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _unpacked(root) if told == text and root is not None else None


def _packed(node: Node) -> list[Any]:
    if isinstance(node, Scalar):
        return [node.line, node.text, node.tag]
    if isinstance(node, List):
        return [node.line, [_packed(each) for each in node.items]]
    return [node.line, [[_packed(key), _packed(value)] for key, value in node.pairs], "pairs"]


def _unpacked(packed: list[Any]) -> Node:
    line, value, *kind = packed
    if isinstance(value, str):
        return Scalar(line, value, *kind)
    if not kind:
        return List(line, [_unpacked(each) for each in value])
    return Map(line, [(Scalar(*key), _unpacked(each)) for key, each in value])


def main(words: Sequence[str]) -> int:
    try:
        for word in words:
            keep(Path(word))
    except (NotYaml, OSError, ValueError, RecursionError) as error:
        print(f"{word}:{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
