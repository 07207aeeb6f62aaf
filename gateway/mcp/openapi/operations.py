"""The operations of a document. What is wrong with the document is an error, all of it at once; what only this gateway cannot
do leaves one operation out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gateway.mcp.openapi import naming
from gateway.mcp.openapi.document import Document, LeftOut, Wrong
from gateway.mcp.openapi.tool import HINTS, Draft, Operation, Reader

MOST = 1000  # operations


@dataclass(frozen=True, slots=True)
class Found:
    """`problems` and `left_out` say where, and why."""

    operations: Mapping[str, Operation]  # by the tool's name
    problems: Sequence[str]
    left_out: Sequence[str]


def read(
    document: Document, *, wanted: Sequence[str] = (), supplied: Collection[str] = (), based: bool = False
) -> Found:
    """`wanted`: operation ids or globs of them, all where empty. `supplied`: headers that the gateway sends itself. `based`: the
    base URL was given, so that servers of single operations are not asked."""
    problems: list[str] = []
    drafts = list(_drafts(document, wanted, problems))
    problems += [
        f"operations: none is called {glob!r}"
        for glob in wanted
        if not any(fnmatchcase(draft.name, glob) for draft in drafts)
    ]
    if len(drafts) > MOST:
        problems.append(f"{len(drafts)} operations, and {MOST} are the most: name some in operations")
        return Found({}, problems, ())
    found: dict[str, Operation] = {}
    left_out: list[str] = []
    reader = Reader(document, supplied=supplied, based=based)
    for draft in drafts:
        try:
            name = naming.tool(draft.name, where=draft.where, taken=found)
            found[name] = reader.operation(draft, name)
        except Wrong as exc:
            problems.append(f"{draft.where}: {exc}")
        except LeftOut as exc:
            left_out.append(f"{draft.where}: {exc}")
    if not found and not problems:
        problems.append("no operation can be offered" + "".join(f"; {each}" for each in left_out[:3]))
    return Found(found, problems, left_out)


def _drafts(document: Document, wanted: Sequence[str], problems: list[str]) -> Iterator[Draft]:
    """Those that are wanted; two of the same operationId are a problem, and so is what is no operation."""
    known: dict[str, str] = {}
    for path, item in _items(document, problems):
        for method in [each for each in HINTS if each in item]:
            where = f"paths.{path}.{method}"
            try:
                said = document.object(item[method])
            except Wrong as exc:
                problems.append(f"{where}: {exc}")
                continue
            own = said.get("operationId")
            name = own if isinstance(own, str) and own else naming.unnamed(method, path)
            if wanted and not any(fnmatchcase(name, glob) for glob in wanted):
                continue
            if name == own and known.setdefault(name, where) != where:
                problems.append(f"{where}: is called {name!r}, as {known[name]} is")
                continue
            yield Draft(where, name, method, path, item, said)


def _items(document: Document, problems: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    paths = document.tree.get("paths")
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        if path.startswith("x-"):  # an extension, which may be anything
            continue
        try:
            if not path.startswith("/"):
                raise Wrong("a path must begin with /")
            yield path, document.object(item)
        except Wrong as exc:
            problems.append(f"paths.{path}: {exc}")
