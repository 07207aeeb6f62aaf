import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gateway.cli import COMMANDS, main, parser


def leaves(
    top: argparse.ArgumentParser, name: str = "gateway"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, with its subcommands."""
    inner = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name, top
    for action in inner:
        for word, child in action.choices.items():
            yield from leaves(child, f"{name} {word}")


EVERY = dict(leaves(parser()))


def test_the_commands_are_those_of_the_help() -> None:
    assert {name.split()[1] for name in EVERY} == set(COMMANDS)


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_json_and_says_what_it_does(name: str) -> None:
    command = EVERY[name]
    assert "--json" in command.format_help()
    assert command.description
    assert callable(command.get_default("run"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_alone_is_imported_for_itself(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", command, "--help"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith(f"usage: gateway {command}")


def test_wrong_words_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serv"])
    assert ended.value.code == 2
    assert "invalid choice: 'serv'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check", "nothing.yaml"], ["status", "--config", "nothing.yaml"]])
def test_a_missing_file_is_said_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) in (1, 2)
    assert "nothing.yaml: cannot be read" in capsys.readouterr().err


def test_no_words_at_all_are_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out
