"""What an interpreter is given to run: as an argument, in a redirect, or by the program in front of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

from gateway.guards.commands.programs import (
    EVALUATORS,
    HERE,
    LANGUAGES,
    POWERSHELLS,
    ROOTS,
    SHELLS,
    Pipe,
    Run,
    language,
    name_of,
)
from gateway.guards.commands.syntax import Redirect
from gateway.guards.commands.wrappers import behind

_CONTAINERS = frozenset((
    "docker", "podman", "kubectl", "nerdctl", "lxc", "nsenter", "wsl", "tmux", "screen", "parallel",
))  # fmt: skip
_OPTION_C = re.compile(r"-[a-zA-Z]*c|--command|/c|/k", re.I)
_POWER_C = re.compile(r"[-/]c(?:o|om|omm|omma|omman|ommand)?", re.I)
_CODE = re.compile(r"-[a-zA-Z0-9]*[ceEr]|--?eval|--print|-p")
_INPUTS = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def texts(run: Run, before: Pipe) -> Iterator[str]:
    """What a shell is given to read as a command line."""
    name, words = run.name, run.words
    if name in SHELLS or name in ("su", "sg", "runuser", "script", "cmd", "wsl", *POWERSHELLS):
        yield from _handed(name, words)
    if name in (*SHELLS, *ROOTS) and reads_input(run):
        yield from (each.target for each in run.redirects if each.way in HERE)
        yield from _said(before[-1]) if before else ()
    if name == "eval" or name in EVALUATORS:
        yield " ".join(words)
    elif name in ("trap", "watch", "parallel"):
        yield from (word for word in words if " " in word)
    elif name == "ssh":
        yield " ".join(behind(list(words), "bcDEeFIiJLlmOopQRSWw", 1, []))
    elif name in ("find", "fd", "fdfind"):
        yield from _of_find(words)
    elif name in _CONTAINERS:
        inner = next((n for n, word in enumerate(words) if name_of(word) in SHELLS), len(words))
        yield shlex.join(words[inner:])
    elif name == "env" and "-S" in words:
        yield " ".join(words[words.index("-S") + 1 :])


def _said(run: Run) -> Iterator[str]:
    """The text that it hands on, where that stands in the line."""
    if run.name in ("echo", "printf"):
        yield " ".join(word for word in run.words if not word.startswith(("-", "%"))).replace("\\n", "\n")
    elif run.name in ("cat", "tee"):
        yield from (each.target for each in run.redirects if each.way in HERE)


def _handed(name: str, words: tuple[str, ...]) -> Iterator[str]:
    power = name in POWERSHELLS
    for at, word in enumerate(words[:-1]):
        if (_POWER_C if power else _OPTION_C).fullmatch(word):
            yield " ".join(words[at + 1 :]) if power or name == "cmd" else words[at + 1]
            return
    if power:
        yield from (word for word in words if " " in word)


def _of_find(words: tuple[str, ...]) -> Iterator[str]:
    """What stands between -exec and its end."""
    found: list[str] | None = None
    for word in words:
        if word in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X"):
            found = []
        elif found is not None and word in (";", "+"):
            yield " ".join(found)
            found = None
        elif found is not None:
            found.append(shlex.quote(word))
    if found:
        yield " ".join(found)


def program_text(name: str, words: list[str], redirects: tuple[Redirect, ...]) -> str:
    """The program text that an interpreter of another language is given."""
    if language(name) not in LANGUAGES:
        return ""
    if name.endswith("awk"):
        return " ".join(words)
    codes = [text for flag, text in pairwise(words) if _CODE.fullmatch(flag)]
    return "\n".join([*codes, *(each.target for each in redirects if each.way in HERE)])


def reads_input(run: Run) -> bool:
    """Whether an interpreter takes its program from what is piped into it."""
    if run.name in SHELLS:
        script = (run.plain or _INPUTS)[0]
        return not any(map(_OPTION_C.fullmatch, run.words)) and (script in _INPUTS or "-s" in run.words)
    if run.name in ROOTS:  # with a program behind it, that would be the name
        return not any(map(_OPTION_C.fullmatch, run.words))
    if run.name in POWERSHELLS:
        return run.words[-1:] in ((), ("-",))
    if language(run.name) in LANGUAGES:
        module = any(word.startswith("-m") for word in run.words)
        return not run.code and not module and (not run.plain or run.words[:1] == ("-",))
    return run.name in EVALUATORS or (run.name in ("source", ".") and run.words[:1] == ("/dev/stdin",))
