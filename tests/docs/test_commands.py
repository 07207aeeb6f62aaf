"""The commands of the documents are those of the program."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import COMMANDS, parser
from tests.docs.pages import PAGES, ROOT, blocks, name, prose

CODE = re.compile(r"`([^`\n]+)`")
INDENTED = re.compile(r"^ {4}(\S.*)$", re.M)


def spoken(page: Path) -> Iterator[str]:
    """Lines of code blocks, indented lines and code in the text."""
    for block in blocks(page):
        if block.language in ("", "bash"):
            yield from block.text.replace("\\\n", " ").splitlines()
    yield from INDENTED.findall(prose(page))
    yield from CODE.findall(prose(page))


def commands(page: Path) -> Iterator[list[str]]:
    for line in spoken(page):
        said = re.match(r"(?:\S*=\S+ )*(?:\.venv/bin/)?gateway ([a-z].*)", line.strip())
        if said:
            yield re.split(r"\s+#|&&|;|&$| \| ", said[1])[0].split()


def options(words: list[str]) -> set[str]:
    """Those that the command knows, subcommands included."""
    known: set[str] = set()
    at: argparse.ArgumentParser | None = parser()
    for word in [*words, ""]:
        assert at is not None
        known |= set(at._option_string_actions)
        inner = [each for each in at._actions if isinstance(each, argparse._SubParsersAction)]
        if not inner:
            break
        at = inner[0].choices.get(word)
        if at is None:
            break
    return known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in commands(page):
        assert words[0].split("|")[0] in COMMANDS, words
        given = {re.split("[=|)\\]]", word.strip("["))[0] for word in words if word.startswith(("--", "[--"))}
        assert given <= options(words) | {"--"}, words


def test_every_command_is_told_of() -> None:
    told = {words[0] for page in PAGES for words in commands(page)}
    assert not set(COMMANDS) - told


def test_what_make_is_asked_for_it_does() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    asked = {
        word
        for page in PAGES
        for line in spoken(page)
        for word in re.findall(r"^make ([a-z-]+)", line.strip())
    }
    assert asked
    assert asked <= targets
