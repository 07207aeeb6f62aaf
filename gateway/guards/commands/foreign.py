"""Programs of somebody else's in a command line: shells for them, what was downloaded or decoded unread, hidden names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from gateway.guards.commands.handed import reads_input
from gateway.guards.commands.leaks import FETCHERS, LISTENERS
from gateway.guards.commands.programs import (
    EVALUATORS,
    LANGUAGES,
    POWERSHELLS,
    SHELLS,
    WRITES,
    Pipe,
    Run,
    is_shell,
    language,
)
from gateway.guards.commands.runs import Runs
from gateway.guards.commands.syntax import SUBSTITUTED
from gateway.guards.shell_words import COMMANDS

Makes = Callable[[Run], bool]

# --- shells for somebody else ---

_AT_HOME = ("localhost", "127.0.0.1", "::1", "[::1]")
_SOCKET = re.compile(r"/dev/(?:tcp|udp)/([^/\s'\"]*)")
_CONNECTS = re.compile(r"socket|fsockopen|net\.connect|/inet/tcp|tcpclient|require\(.net.\)", re.I)
_GIVES_SHELL = re.compile(
    r"dup2|/bin/(?:ba|z|da|k)?sh|pty\.spawn|child_process|exec\s*\(|popen|system\s*\(|subprocess|getline|\biex\b",
    re.I,
)


def reverse_shell(line: Runs) -> bool:
    """A shell whose input and output are somebody else's. One's own machine may be asked whether a port is open."""
    if "zsh/net/tcp" in line.text or any(found[1] not in _AT_HOME for found in _SOCKET.finditer(line.text)):
        return True
    return any(_listens(run) or _connects(run) for run in line.all) or any(map(_shell_over_net, line.pipes))


def _listens(run: Run) -> bool:
    """A program that hands what it hears to another."""
    if run.name == "socat":
        return any(re.match(r"(?:exec|system|shell):", word, re.I) for word in run.words)
    if run.name not in LISTENERS:
        return False
    shell = not {"e", "p"}.isdisjoint(run.flags) and any(is_shell(word.split(" ")[0]) for word in run.words)
    return shell or not {"--exec", "--sh-exec", "--lua-exec"}.isdisjoint(run.words)


def _connects(run: Run) -> bool:
    if run.name in SHELLS:
        return any(
            each.way == "<&" and each.target.isdecimal() and int(each.target[:4]) > 2
            for each in run.redirects
        )
    code = run.code or (run.raw if run.name in POWERSHELLS else "")
    return bool(code and _CONNECTS.search(code) and _GIVES_SHELL.search(code))


def _shell_over_net(pipe: Pipe) -> bool:
    over = any(run.name in LISTENERS or (run.name == "openssl" and "s_client" in run.words) for run in pipe)
    return over and any(
        each.name in SHELLS and reads_input(each) for run in pipe for each in (run, *run.within)
    )


# --- programs that nobody has read ---


def runs_download(line: Runs) -> bool:
    return _runs_what(line, _fetches)


def _fetches(run: Run) -> bool:
    raw = run.raw.lower()
    return (
        (run.name in FETCHERS and "/dev/null" not in run.words)
        or "downloadstring" in raw
        or "net.webclient" in raw
    )


_DECODED = re.compile(
    r"b64decode|base64|unpack|fromhex|rot13|decompress|fromcharcode|frombase64string|atob", re.I
)
_EVALUATES = re.compile(r"\b(?:exec|eval|system|popen|iex|invoke-expression|spawn)\b", re.I)
_LETTER, _ESCAPE = re.compile(r"[A-Za-z]"), re.compile(r"\\.")
_ESCAPES = re.compile(r"\\(?:x[0-9a-f]{2}|0?[0-7]{3})", re.I)


def runs_decoded(line: Runs) -> bool:
    return _runs_what(line, _decodes) or any(map(_decodes_in_code, line.all))


def _decodes(run: Run) -> bool:
    if run.name in ("base64", "base32", "gbase64", "basenc", "openssl"):
        return "--decode" in run.words or "-d" in run.words or not {"d", "D"}.isdisjoint(run.flags)
    if run.name in ("printf", "echo"):
        return any(map(_ESCAPES.search, run.words))
    if run.name == "tr":  # one letter for another
        return len(run.plain) == 2 and all(_LETTER.search(_ESCAPE.sub("", word)) for word in run.plain)
    return (run.name == "xxd" and "r" in run.flags) or run.name in ("rev", "uudecode")


def _decodes_in_code(run: Run) -> bool:
    code = run.code
    if run.name in POWERSHELLS:
        code = run.raw
        if any(re.fullmatch(r"[-/]e(?:[nc]|nc[a-z]*)?", word, re.I) for word in run.words):
            return True
    return bool(code and _DECODED.search(code) and _EVALUATES.search(code))


def _runs_what(line: Runs, makes: Makes) -> bool:
    """Whether what such a program says becomes a program: by a pipe, a substitution, or a file."""
    said: set[str] = set()  # by the names of files
    earlier = False
    for pipe in line.pipes:
        making = False
        for run in pipe:
            if making and _takes_program(run):
                return True
            making = making or any(map(makes, (run, *run.within)))
        if any(_becomes_program(run) and any(map(makes, run.within)) for run in pipe):
            return True
        if earlier and pipe[0].name in ("}", "done", "fi", "esac") and any(map(_takes_program, pipe[1:])):
            return True
        if not said.isdisjoint(map(_program_file, pipe)):
            return True
        if making:
            earlier = True
            said.update(name for run in pipe for name in _files_of(run) if name not in ("", "-", "null"))
    return False


def _takes_program(run: Run) -> bool:
    """Whether it, or one within it, reads a program from its input."""
    return any(map(reads_input, (run, *run.within)))


_AS_COMMAND = re.compile(rf"(?:(?:^|[;&|\n({{])[^\S\n]*|\beval\s+[\"']?){SUBSTITUTED}(?:[\s;]|$)")


def _becomes_program(run: Run) -> bool:
    """Whether its substitutions are what is run: `sh -c "$(…)"`, `. <(…)`, `$(…)`."""
    if run.name in ("source", ".", "eval") or run.name in EVALUATORS:
        return run.name in EVALUATORS or any(SUBSTITUTED in word or "$" in word for word in run.words)
    if run.name in SHELLS or (language(run.name) in LANGUAGES and run.code):
        given = any(each.target == SUBSTITUTED for each in run.redirects) or run.words[:1] == (SUBSTITUTED,)
        return given or any(map(_AS_COMMAND.search, run.plain[:1]))
    return run.path == SUBSTITUTED


def _program_file(run: Run) -> str:
    """The name of the file that is run, where it is no program of the system's."""
    if run.name in SHELLS or run.name in ("source", ".") or language(run.name) in LANGUAGES:
        return (run.plain or [""])[0].rsplit("/", 1)[-1]
    return run.path.rsplit("/", 1)[-1] if "/" in run.path else ""


_WRITTEN = re.compile(r"(?:--output(?:-document)?=|-[a-zA-Z]{0,4}?[oO])(.+)")


def _files_of(run: Run) -> Iterator[str]:
    """The names of the files that it writes what it fetched or decoded to."""
    for flag, value in pairwise(run.words):
        if re.fullmatch(r"-[a-zA-Z]*o|--output|-OutFile", flag) or (
            run.name == "wget" and re.fullmatch(r"-[a-zA-Z]*O", flag)
        ):
            yield value.rsplit("/", 1)[-1]
    if run.name in FETCHERS:
        yield from (found[1].rsplit("/", 1)[-1] for found in map(_WRITTEN.fullmatch, run.words) if found)
    if run.name == "tee":
        yield from (word.rsplit("/", 1)[-1] for word in run.plain)
    if run.name == "wget" or (run.name == "curl" and "O" in run.flags):
        yield from (word.rsplit("/", 1)[-1] for word in run.plain if "/" in word)
    yield from (each.target.rsplit("/", 1)[-1] for each in run.redirects if each.way in WRITES)


_PATTERN = re.compile(r"/[\w*-]*[?\[][\w*?\[\]-]*/|.*\$\{\w+:\d|\{\w+,")
_EXPANSION = re.compile(rf"\$\w+|\$[@*!_]|\$\{{[^}}]{{0,400}}\}}|{SUBSTITUTED}")


def hides_program(line: Runs) -> bool:
    return any(
        run.split or _PATTERN.match(run.path) or ((run.pieced or "^" in run.path) and _known(run.path))
        for run in line.all
    )


def _known(path: str) -> bool:
    name = _EXPANSION.sub("", path).replace("^", "").rsplit("/", 1)[-1].lower()
    return re.sub(r"\d", "0", name) in COMMANDS
