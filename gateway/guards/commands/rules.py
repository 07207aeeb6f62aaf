"""What no everyday command line needs, by name, and what to do instead. A rule that is silent does not say that a line is harmless."""

from __future__ import annotations

from collections.abc import Callable

from gateway.guards.commands import damage, foreign, leaks, windows
from gateway.guards.commands.runs import Runs, TooMany, read
from gateway.guards.commands.syntax import TooDeep

LONGEST = 64 * 1024

# In this order: the first that speaks gives a refusal its name.
RULES: dict[str, Callable[[Runs], bool]] = {
    rule.__name__: rule
    for rule in (
        foreign.reverse_shell,
        foreign.runs_download,
        foreign.runs_decoded,
        foreign.hides_program,
        damage.fork_bomb,
        damage.destroys,
        damage.persists,
        damage.preloads,
        damage.covers_tracks,
        leaks.sends_out,
        leaks.reads_credentials,
        damage.leaves_container,
        damage.mines,
    )
}
TOO_LONG, TOO_DEEP = "too_long", "nested_too_deep"
REMEDIES = {
    "reverse_shell": "ask whether a port is open with a program that is made for it, such as pg_isready or curl",
    "runs_download": "download to a file, read it, and run it in a call of its own",
    "runs_decoded": "send the program's text as it is",
    "hides_program": "write the program's name as it is",
    "fork_bomb": "start a fixed number of processes",
    "destroys": "name the folder below the project that shall be emptied",
    "persists": "ask a person to change accounts, schedules, services or shell profiles",
    "preloads": "set the library where the program is configured",
    "covers_tracks": "leave histories, logs and their watchers as they are",
    "sends_out": "send what the request needs by name, and credentials in a header",
    "reads_credentials": "let the program that needs the credential read it itself",
    "leaves_container": "mount the project's folder only",
    "mines": "leave it out",
    TOO_LONG: "send a shorter line, and long texts as files",
    TOO_DEEP: "write the steps one after the other",
}


def judge(text: str) -> str:
    """The name of the rule that a command line breaks, or nothing."""
    if len(text) > LONGEST:
        return TOO_LONG
    try:
        line = read(text)
    except TooDeep:
        return TOO_DEEP
    except TooMany:
        return TOO_LONG
    known = windows.fired(line)
    return next((name for name, rule in RULES.items() if name in known or rule(line)), "")
