"""Arguments that are command lines by right: read as a shell reads them, and refused for what no everyday line needs.

A tool for a shell is given whole lines, so a separator or a substitution in one is no injection. What is wrong with a line is
told by `commands.rules`. A list is read twice: each string as a line, and all of them as the words of one (or, where the name
is a plural, as lines one after the other); `args` beside a command are words of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from gateway.guards.strings import Path, Piece

# Without what stands between their words: shell_command, shellCommand.
NAMES = frozenset({
    "argv", "bash", "bashcommand", "bashcommands", "bashscript", "cmd", "cmdline", "cmds", "cmdtorun", "command",
    "commandline", "commandlines", "commands", "commandstring", "commandtorun", "execcommand", "powershell",
    "powershellcommand", "powershellscript", "script", "scripts", "shellcmd", "shellcommand", "shellcommands",
    "shellscript", "terminalcommand",
})  # fmt: skip
BESIDE = frozenset(("args", "arguments", "commandargs", "cmdargs", "parameters"))
_SIGNS = frozenset(("|", "|&", "||", "&", "&&", ";", ">", ">>", "<", "2>&1"))


def lines(pieces: Iterable[Piece]) -> list[tuple[Piece, str]]:
    """The command lines among a tool's arguments, each with the piece that it is found in."""
    said: dict[Path, list[Piece]] = {}  # by where the string or the list stands
    beside: dict[Path, list[Piece]] = {}  # by what holds it
    for piece in pieces:
        at, name = _named(piece.path)
        if name in NAMES:
            said.setdefault(piece.path[:-1] if at < len(piece.path) - 1 else piece.path, []).append(piece)
        elif name in BESIDE:
            beside.setdefault(piece.path[:at], []).append(piece)
    found: list[tuple[Piece, str]] = []
    for path, its in said.items():
        at, name = _named(path)
        words = [*its, *beside.pop(path[:at], ())]
        found += [(piece, piece.text) for piece in words]
        if len(words) > 1:
            found.append(
                (its[0], _joined(words, several=name.endswith("s") and path[-1:] == path[at : at + 1]))
            )
    return found


def _named(path: Path) -> tuple[int, str]:
    """Where in a path the last name stands, and what it is."""
    at = next((n for n in range(len(path) - 1, -1, -1) if isinstance(path[n], str)), -1)
    return at, str(path[at]).lower().replace("_", "").replace("-", "") if at >= 0 else ""


def _joined(words: list[Piece], *, several: bool) -> str:
    if several:
        return "\n".join(piece.text for piece in words)
    return " ".join(map(_word, words))


def _word(piece: Piece) -> str:
    """A string of its own is a line, or a part of one, and keeps its quotes."""
    alone = isinstance(piece.path[-1], str)
    return piece.text if alone or piece.text in _SIGNS else shlex.quote(piece.text)
