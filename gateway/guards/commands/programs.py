"""A program that a command line runs, and the kinds of programs that read others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.guards.commands.syntax import Redirect

SHELLS = frozenset((
    "sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "csh", "tcsh", "rbash", "mksh", "busybox",
))  # fmt: skip
POWERSHELLS = frozenset(("powershell", "pwsh"))
LANGUAGES = frozenset((
    "python", "perl", "ruby", "php", "node", "nodejs", "lua", "deno", "bun", "awk", "gawk", "mawk", "osascript",
    "tclsh", "julia", "jrunscript", "jjs", "groovy", "rscript",
))  # fmt: skip
EVALUATORS = ("iex", "invoke-expression")
ROOTS = ("sudo", "su", "doas")  # a shell, where no program is named
WRITES = (">", ">>", ">|", "&>", "&>>", ">&", "<>")  # redirects to a file
HERE = ("<<", "<<<")  # redirects that hold the text themselves
_LETTERS = re.compile(r"-[A-Za-z]+")


@dataclass(slots=True)
class Run:
    """A program and what it is given. `name` is without its folder, small, and empty where nothing but a group stands."""

    name: str
    path: str  # the program as it was written
    words: tuple[str, ...]
    redirects: tuple[Redirect, ...]
    settings: tuple[tuple[str, str], ...]  # NAME=value in front of it
    raw: str
    pieced: bool  # its name is put together of pieces
    split: bool  # its words are kept apart by ${IFS}
    code: str = ""  # a program text in its arguments, for an interpreter of another language
    within: list[Run] = field(default_factory=list)  # what its substitutions, groups and texts run

    @property
    def flags(self) -> str:
        """All its options of one letter, in a row."""
        return "".join(word[1:] for word in self.words if _LETTERS.fullmatch(word))

    @property
    def plain(self) -> list[str]:
        """Its arguments that are no options."""
        return [word for word in self.words if not word.startswith("-")]


Pipe = list[Run]


def name_of(path: str) -> str:
    """Without its folder and ending, small."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".exe").lstrip("@-")
    return "sh" if name in ("$0", "$shell", "${shell}", "$bash", "${bash}") else name


def language(name: str) -> str:
    """`python3.11` is python."""
    return name.rstrip("0123456789.")


def is_shell(word: str) -> bool:
    name = name_of(word)
    return name in SHELLS or name in POWERSHELLS or name == "cmd"
