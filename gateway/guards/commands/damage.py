"""What a command line leaves behind: nothing where there was something, or something that stays and runs by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from gateway.guards.commands import places
from gateway.guards.commands.programs import WRITES, Run, is_shell
from gateway.guards.commands.runs import Runs

# --- what is gone afterwards ---


def destroys(line: Runs) -> bool:
    at_root = False
    for run in line.all:
        if run.name == "cd":
            at_root = run.words[:1] == ("/",)
        if _empties(run, at_root=at_root) or _overwrites(run):
            return True
    return False


_NARROWS = frozenset((
    "-name", "-iname", "-path", "-ipath", "-regex", "-user", "-group", "-mtime", "-mmin", "-size", "-perm", "-newer",
    "-empty", "-inum",
))  # fmt: skip


def _empties(run: Run, *, at_root: bool) -> bool:
    deep = not {"r", "R"}.isdisjoint(run.flags) or "--recursive" in run.words
    if run.name == "rm":
        all_here = at_root and not {"*", ".", "./*", "./"}.isdisjoint(run.plain)
        return "--no-preserve-root" in run.words or (deep and (any(map(places.vital, run.plain)) or all_here))
    if run.name in ("chmod", "chown", "chgrp"):
        return deep and any(map(places.system, run.plain[1:]))
    if run.name == "find":
        deletes = "-delete" in run.words or any(each.name in ("rm", "shred") for each in run.within)
        return deletes and any(map(places.vital, run.plain[:1])) and _NARROWS.isdisjoint(run.words)
    return run.name == "mv" and any(map(places.system, run.plain[:-1]))


_FORMATTERS = ("mkfs", "mke2fs", "mkswap", "shred", "blkdiscard")


def _overwrites(run: Run) -> bool:
    """A disk as a whole."""
    if run.name == "dd":
        return any(places.disk(word[3:]) for word in run.words if word.startswith("of="))
    wipes = (
        run.name == "wipefs" and ("a" in run.flags or "--all" in run.words) and "--no-act" not in run.words
    )
    if (wipes or run.name.split(".")[0] in _FORMATTERS) and any(map(places.disk, run.words)):
        return True
    return any(each.way in WRITES and places.disk(each.target) for each in run.redirects)


_FUNCTION = re.compile(r"([\w:.-]{1,32})\(\)\{([^}]{0,200})\}")
_FORKS = re.compile(r"fork while fork|while ?\(? ?(?:1|true) ?\)? ?[:{]? ?(?:os\.)?fork", re.I)


def fork_bomb(line: Runs) -> bool:
    squeezed = "".join(line.text.split())
    bodies = _FUNCTION.findall(squeezed) if "(){" in squeezed else []
    calls = any(f"{name}|{name}" in body or f"{name}&{name}" in body for name, body in bodies)
    return (
        calls
        or "%0|%0" in squeezed
        or any(_FORKS.search(" ".join(run.code.split())) for run in line.all if run.code)
    )


# --- what stays afterwards ---

_COPIERS = ("cp", "mv", "install", "ln", "scp", "rsync")


def persists(line: Runs) -> bool:
    return any(_plants(run) or _schedules(run) or _gives_rights(run) for run in line.all)


def _plants(run: Run) -> bool:
    """Whether it writes a file that somebody's shell, the clock or the system's start will run."""
    return any(map(places.runs_later, _written(run)))


def _written(run: Run) -> Iterator[str]:
    yield from (each.target for each in run.redirects if each.way in WRITES)
    if run.name in _COPIERS:
        yield from run.plain[-1:]
    elif run.name in ("tee", "truncate", "dd") or (
        run.name in ("sed", "perl") and any(map(_IN_PLACE.match, run.words))
    ):
        yield from (word.removeprefix("of=") for word in run.plain)


_IN_PLACE = re.compile(r"-[a-zA-Z]*i|--in-place")


def _schedules(run: Run) -> bool:
    return run.name == "crontab" and {"-l", "-e", "-i", "-V", "--help"}.isdisjoint(run.words)


def _gives_rights(run: Run) -> bool:
    if run.name in ("useradd", "usermod", "adduser"):
        return any(pair in (("-u", "0"), ("--uid", "0")) for pair in pairwise(run.words))
    if run.name not in ("chmod", "chown"):
        return False
    setuid = any(re.fullmatch(r"0?[4-7][0-7]{3}|[ugoa]*\+[rwxt]*s[rwxt]*", word) for word in run.words)
    return any(map(places.account, run.words)) or (setuid and any(map(is_shell, run.words)))


_LIBRARIES = ("/usr/lib", "/usr/local/lib", "/lib", "/opt/", "/nix/", "$")


def preloads(line: Runs) -> bool:
    return any(_preload(*pair) for run in line.all for pair in _set(run))


def _set(run: Run) -> Iterator[tuple[str, str]]:
    """The variables that it sets."""
    yield from run.settings
    if run.name in ("export", "declare", "typeset"):
        for word in run.words:
            name, equals, value = word.partition("=")
            if equals:
                yield name, value


def _preload(name: str, value: str) -> bool:
    if name in ("LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"):
        return "/" in value and not value.startswith(_LIBRARIES)
    return name in ("BASH_ENV", "PROMPT_COMMAND") and bool(value)


_WATCHERS = re.compile(
    r"auditd|r?syslogd?|systemd-journald|falcon-sensor|osqueryd|wazuh-agent|mdatp|sysmon|clamav-daemon"
)


def covers_tracks(line: Runs) -> bool:
    return any(_silences(run) or _erases(run) for run in line.all)


def _silences(run: Run) -> bool:
    if any(
        name in ("HISTFILE", "HISTSIZE", "HISTFILESIZE") and value in ("", "0", "/dev/null")
        for name, value in _set(run)
    ):
        return True
    if run.name == "history":
        return "c" in run.flags
    if run.name in ("unset", "set"):
        return "HISTFILE" in run.words if run.name == "unset" else run.words[:2] == ("+o", "history")
    stops = not {"stop", "disable", "mask"}.isdisjoint(run.words) or run.name in ("pkill", "killall")
    return stops and any(_WATCHERS.fullmatch(word.removesuffix(".service")) for word in run.words)


def _erases(run: Run) -> bool:
    gone = [each.target for each in run.redirects if each.way in (">", ">|")]
    if run.name in ("rm", "shred", "truncate", "unlink", "ln", "mv", "cp"):
        gone += run.plain
    return any(map(places.record, gone))


# --- the machine as a whole ---


def leaves_container(line: Runs) -> bool:
    return any(map(_is_all_of_the_host, line.all))


def _is_all_of_the_host(run: Run) -> bool:
    if run.name == "nsenter":
        return not {"1", "-t1", "--target=1"}.isdisjoint(run.words)
    mounts = run.name in ("docker", "podman", "nerdctl")
    return mounts and any(
        re.match(r"(?:(?:-v|--volume)=?)?/:/|.*(?:source|src)=/,", word) for word in run.words
    )


def mines(line: Runs) -> bool:
    return "stratum+tcp://" in line.text or any(
        run.name in ("xmrig", "minerd", "cpuminer") for run in line.all
    )
