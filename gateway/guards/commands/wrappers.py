"""Programs that run what stands behind them, and which program that is: `sudo`, `env`, `xargs`, words of the shell's own."""

from __future__ import annotations

import re

from gateway.guards.commands.programs import name_of
from gateway.guards.commands.syntax import DEEPEST

SETTING = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.S)
# Of each, those of its options (one letter each) that take a value, and how many words stand before the program.
_WRAPPERS = {
    "sudo": ("ugUpCchrtTD", 0), "doas": ("uC", 0), "env": ("uCS", 0), "nice": ("n", 0), "ionice": ("cnp", 0), "nohup": ("", 0),
    "time": ("fo", 0), "timeout": ("ks", 1), "gtimeout": ("ks", 1), "stdbuf": ("ioe", 0), "setsid": ("", 0), "exec": ("a", 0), "command": ("", 0),
    "builtin": ("", 0), "xargs": ("InPdLsEa", 0), "chroot": ("", 1), "busybox": ("", 0), "strace": ("eopPsu", 0), "flock": ("wE", 1),
    "taskset": ("", 1), "unshare": ("", 0), "caffeinate": ("tw", 0), "start": ("", 0), "then": ("", 0), "else": ("", 0), "elif": ("", 0),
    "if": ("", 0), "while": ("", 0), "until": ("", 0), "do": ("", 0), "!": ("", 0), "{": ("", 0), "&": ("", 0),
    "function": ("", 1), "coproc": ("", 0),
}  # fmt: skip
_VALUED = (
    "--user", "--group", "--host", "--chdir", "--signal", "--kill-after",
    "--adjustment", "--unset", "--max-args", "--max-procs", "--delimiter",
)  # fmt: skip


def unwrapped(words: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The words from the program that those in front of it run, and what is set for it."""
    settings: list[tuple[str, str]] = []
    for _ in range(DEEPEST):
        wrapper = _WRAPPERS.get(name_of(words[0])) if words else None
        rest = behind(words[1:], *wrapper, settings) if wrapper else []
        if not rest:
            break
        words = rest
    return words, settings


def behind(words: list[str], valued: str, skipped: int, settings: list[tuple[str, str]]) -> list[str]:
    """The words from the program on; what is set for it is added to the settings."""
    at = 0
    while at < len(words):
        word = words[at]
        if match := SETTING.match(word):
            settings.append((match[1], match[2]))
        elif word.startswith("-") and len(word) > 1:
            at += word in _VALUED if word.startswith("--") else len(word) == 2 and word[1] in valued
        elif skipped:
            skipped -= 1
        else:
            break
        at += 1
    return words[at:]
