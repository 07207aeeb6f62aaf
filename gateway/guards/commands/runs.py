"""Which programs a command line runs, whatever stands around them: `sudo`, `env`, `xargs`, variables, texts for another shell.

A text that is handed to a shell (`bash -c …`, `eval …`, a here-document, `echo … | sh`) is read as a command line, too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise

from gateway.guards.commands.lines import DEEPEST, SUBSTITUTED, Command, Line, Redirect, TooDeep, parse

SHELLS = frozenset((
    "sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "csh", "tcsh", "rbash", "mksh", "busybox",
))  # fmt: skip
POWERSHELLS = frozenset(("powershell", "pwsh"))
LANGUAGES = frozenset((
    "python", "perl", "ruby", "php", "node", "nodejs", "lua", "deno", "bun", "awk", "gawk", "mawk", "osascript",
    "tclsh", "julia", "jrunscript", "jjs", "groovy", "rscript",
))  # fmt: skip
# Programs that run what stands behind them: those of their options (one letter each) that take a value, and how many words
# stand before the program.
_WRAPPERS = {
    "sudo": ("ugUpCchrtTD", 0), "doas": ("uC", 0), "env": ("uCS", 0), "nice": ("n", 0), "ionice": ("cnp", 0), "nohup": ("", 0),
    "time": ("fo", 0), "timeout": ("ks", 1), "gtimeout": ("ks", 1), "stdbuf": ("ioe", 0), "setsid": ("", 0), "exec": ("a", 0), "command": ("", 0),
    "builtin": ("", 0), "xargs": ("InPdLsEa", 0), "chroot": ("", 1), "busybox": ("", 0), "strace": ("eopPsu", 0), "flock": ("wE", 1),
    "taskset": ("", 1), "unshare": ("", 0), "caffeinate": ("tw", 0), "start": ("", 0), "then": ("", 0), "else": ("", 0), "elif": ("", 0),
    "if": ("", 0), "while": ("", 0), "until": ("", 0), "do": ("", 0), "!": ("", 0), "{": ("", 0), "&": ("", 0),
    "function": ("", 1), "coproc": ("", 0),
}  # fmt: skip
_ROOTS = ("sudo", "su", "doas")  # a shell, where no program is named
_VALUED = (
    "--user",
    "--group",
    "--host",
    "--chdir",
    "--signal",
    "--kill-after",
    "--adjustment",
    "--unset",
    "--max-args",
    "--max-procs",
    "--delimiter",
)
_CONTAINERS = frozenset((
    "docker", "podman", "kubectl", "nerdctl", "lxc", "nsenter", "wsl", "tmux", "screen", "parallel",
))  # fmt: skip
_SETTING = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.S)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\b[^}]{0,400}\})")
_OPTION_C = re.compile(r"-[a-zA-Z]*c|--command|/c|/k", re.I)
_POWER_C = re.compile(r"[-/]c(?:o|om|omm|omma|omman|ommand)?", re.I)
_CODE = re.compile(r"-[a-zA-Z0-9]*[ceEr]|--?eval|--print|-p")
_HERE = ("<<", "<<<")
_INPUTS = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
EVALUATORS = ("iex", "invoke-expression")
WRITES = (">", ">>", ">|", "&>", "&>>", ">&", "<>")  # redirects to a file
_LETTERS = re.compile(r"-[A-Za-z]+")
_DECLARES = ("export", "declare", "local", "readonly", "typeset", "set")
MOST = 1000  # programs in a line
EXPANDED = 256 * 1024  # characters that variables may add to a line


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


@dataclass(slots=True)
class Runs:
    """All that a command line runs, the pipelines within others before these."""

    text: str
    pipes: list[Pipe]

    @property
    def all(self) -> Iterator[Run]:
        return chain.from_iterable(self.pipes)


class TooMany(Exception):
    """More programs than anybody has to read before a shell does."""


def read(text: str) -> Runs:
    """Raises TooDeep and TooMany."""
    return Runs(text, list(_Reader().pipes(parse(text), 0)))


class _Reader:
    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        # What a variable's value was made by; one list for all of a command's.
        self._makers: dict[str, list[Run]] = {}
        self._left = EXPANDED
        self._programs = MOST

    def pipes(self, line: Line, depth: int) -> Iterator[Pipe]:
        if depth > DEEPEST:
            raise TooDeep
        for pipeline in line:
            pipe: Pipe = []
            for command in pipeline:
                inner = [each for within in command.within for each in self.pipes(within, depth + 1)]
                run = self._run(command, [each for within in inner for each in within])
                for text in _texts(run, pipe):
                    more = list(self.pipes(parse(text), depth + 1))
                    run.within += [each for within in more for each in within]
                    inner += more
                yield from inner
                pipe.append(run)
            yield pipe

    def _run(self, command: Command, within: list[Run]) -> Run:
        self._programs -= 1
        if self._programs < 0:
            raise TooMany
        words = [self._known(word.text) for word in command.words]
        named = {name for word in command.words for name in self._named(word.text)}
        made = {id(run): run for makers in map(self._makers.__getitem__, named) for run in makers}
        within += made.values()
        first = next((n for n, word in enumerate(words) if not _SETTING.match(word)), len(words))
        settings = [(match[1], match[2]) for word in words[:first] if (match := _SETTING.match(word))]
        if first == len(words) or words[first] in _DECLARES:
            self._keep([*words[:first], *words[first + 1 :]], within)
        rest = words[first:]
        if rest and " " in rest[0] and command.words[first].text.startswith("$"):
            rest = [*rest[0].split(), *rest[1:]]
        rest, more = _unwrapped(rest)
        path = rest[0] if rest else ""
        its = command.words[first:]
        pieced = any(word.pieced and text == path for word, text in zip(its, words[first:], strict=True))
        split = any(word.split for word in its)
        redirects = tuple(Redirect(each.way, self._known(each.target)) for each in command.redirects)
        code = _code(_name(path), rest[1:], redirects)
        return Run(
            _name(path),
            path,
            tuple(rest[1:]),
            redirects,
            (*settings, *more),
            command.raw,
            pieced,
            split,
            code,
            within,
        )

    def _keep(self, words: list[str], within: list[Run]) -> None:
        made = list(within)
        for word in words:
            if match := _SETTING.match(word):
                self._values[match[1]] = match[2]
                self._makers[match[1]] = made if SUBSTITUTED in match[2] else []

    def _named(self, text: str) -> list[str]:
        """The variables in it that this line has set."""
        found = [match[1] or match[2] for match in _VARIABLE.finditer(text)] if "$" in text else []
        return [name for name in found if name in self._values]

    def _known(self, text: str) -> str:
        """With what this line has set, within bounds: values may hold values."""
        self._left -= sum(len(self._values[name]) for name in self._named(text))
        if self._left < 0 or "$" not in text:
            return text
        return _VARIABLE.sub(lambda match: self._values.get(match[1] or match[2], match[0]), text)


def _name(path: str) -> str:
    name = path.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".exe").lstrip("@-")
    return "sh" if name in ("$0", "$shell", "${shell}", "$bash", "${bash}") else name


def _unwrapped(words: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The words from the program that those in front of it run, and what is set for it."""
    settings: list[tuple[str, str]] = []
    for _ in range(DEEPEST):
        wrapper = _WRAPPERS.get(_name(words[0])) if words else None
        rest = _behind(words[1:], *wrapper, settings) if wrapper else []
        if not rest:
            break
        words = rest
    return words, settings


def _behind(words: list[str], valued: str, skipped: int, settings: list[tuple[str, str]]) -> list[str]:
    at = 0
    while at < len(words):
        word = words[at]
        if match := _SETTING.match(word):
            settings.append((match[1], match[2]))
        elif word.startswith("-") and len(word) > 1:
            at += word in _VALUED if word.startswith("--") else len(word) == 2 and word[1] in valued
        elif skipped:
            skipped -= 1
        else:
            break
        at += 1
    return words[at:]


def _texts(run: Run, before: Pipe) -> Iterator[str]:
    """What a shell is given to read as a command line."""
    name, words = run.name, run.words
    if name in SHELLS or name in ("su", "sg", "runuser", "script", "cmd", "wsl", *POWERSHELLS):
        yield from _handed(name, words)
    if name in (*SHELLS, *_ROOTS) and reads_input(run):
        yield from (each.target for each in run.redirects if each.way in _HERE)
        yield from _said(before[-1]) if before else ()
    if name == "eval" or name in EVALUATORS:
        yield " ".join(words)
    elif name in ("trap", "watch", "parallel"):
        yield from (word for word in words if " " in word)
    elif name == "ssh":
        yield " ".join(_behind(list(words), "bcDEeFIiJLlmOopQRSWw", 1, []))
    elif name in ("find", "fd", "fdfind"):
        yield from _of_find(words)
    elif name in _CONTAINERS:
        inner = next((n for n, word in enumerate(words) if _name(word) in SHELLS), len(words))
        yield shlex.join(words[inner:])
    elif name == "env" and "-S" in words:
        yield " ".join(words[words.index("-S") + 1 :])


def _said(run: Run) -> Iterator[str]:
    """The text that it hands on, where that stands in the line."""
    if run.name in ("echo", "printf"):
        yield " ".join(word for word in run.words if not word.startswith(("-", "%"))).replace("\\n", "\n")
    elif run.name in ("cat", "tee"):
        yield from (each.target for each in run.redirects if each.way in _HERE)


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


def language(name: str) -> str:
    """`python3.11` is python."""
    return name.rstrip("0123456789.")


def _code(name: str, words: list[str], redirects: tuple[Redirect, ...]) -> str:
    if language(name) not in LANGUAGES:
        return ""
    if name.endswith("awk"):
        return " ".join(words)
    codes = [code for flag, code in pairwise(words) if _CODE.fullmatch(flag)]
    return "\n".join([*codes, *(each.target for each in redirects if each.way in _HERE)])


def is_shell(word: str) -> bool:
    name = _name(word)
    return name in SHELLS or name in POWERSHELLS or name == "cmd"


def reads_input(run: Run) -> bool:
    """Whether an interpreter takes its program from what is piped into it."""
    if run.name in SHELLS:
        script = (run.plain or _INPUTS)[0]
        return not any(map(_OPTION_C.fullmatch, run.words)) and (script in _INPUTS or "-s" in run.words)
    if run.name in _ROOTS:  # with a program behind it, that would be the name
        return not any(map(_OPTION_C.fullmatch, run.words))
    if run.name in POWERSHELLS:
        return run.words[-1:] in ((), ("-",))
    if language(run.name) in LANGUAGES:
        module = any(word.startswith("-m") for word in run.words)
        return not run.code and not module and (not run.plain or run.words[:1] == ("-",))
    return run.name in EVALUATORS or (run.name in ("source", ".") and run.words[:1] == ("/dev/stdin",))
