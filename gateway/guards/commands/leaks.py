"""Command lines that carry secrets off: files that let their holder in, and what a machine tells of itself, sent or spelt out."""

from __future__ import annotations

import re
from itertools import pairwise

from gateway.guards.commands import places
from gateway.guards.commands.programs import Pipe, Run
from gateway.guards.commands.runs import Runs
from gateway.guards.commands.syntax import SUBSTITUTED

FETCHERS = frozenset((
    "curl", "wget", "fetch", "aria2c", "axel", "http", "https", "xh", "lynx", "iwr", "irm", "invoke-webrequest",
    "invoke-restmethod",
))  # fmt: skip
LISTENERS = frozenset(("nc", "ncat", "netcat", "nc.traditional", "nc.openbsd", "socat", "telnet", "socket"))
_RESOLVERS = frozenset(("dig", "nslookup", "host", "ping", "resolvectl", "drill", "kdig"))
_SENDERS = (
    FETCHERS
    | LISTENERS
    | _RESOLVERS
    | frozenset(("mail", "mailx", "mutt", "sendmail", "swaks", "ftp", "tftp"))
)
_CARRIERS = frozenset(("scp", "sftp", "rsync", "rclone", "gsutil", "aws", "ssh"))
_READERS = frozenset((
    "cat", "tac", "nl", "less", "more", "head", "tail", "bat", "batcat", "base64", "base32", "xxd", "od", "hexdump",
    "strings", "grep", "egrep", "fgrep", "rg", "ag", "sed", "awk", "gawk", "mawk", "cut", "sort", "uniq", "rev",
    "paste", "fold", "tar", "zip", "gzip", "bzip2", "xz", "7z", "dd", "cp", "type", "copy", "gc", "get-content",
    "select-string", "jq", "diff",
))  # fmt: skip
_DESTINED = ("cp", "copy")  # whose last word is written, not read
_TELLTALES = frozenset((
    "whoami", "id", "env", "printenv", "hostname", "history", "getent", "base64", "base32", "xxd", "od", "hexdump",
))  # fmt: skip
_ENCODERS = frozenset(("base64", "base32", "xxd", "od", "hexdump"))


def reads_credentials(line: Runs) -> bool:
    """What lets its holder in somewhere, shown or copied. A key may be used (`ssh -i`), made and protected."""
    return any(_reads(run) or _asks(run) for run in line.all)


def _reads(run: Run) -> bool:
    if run.name not in _READERS:
        return False
    words = run.words[:-1] if run.name in _DESTINED else run.words
    read = [word.removeprefix("if=") for word in words]
    return any(map(places.credential, (*read, *_inputs(run))))


def _inputs(run: Run) -> list[str]:
    return [each.target for each in run.redirects if each.way in ("<", "<>")]


_METADATA = re.compile(
    r"(?:169\.254\.169\.254|metadata\.google\.internal|169\.254\.170\.2|100\.100\.100\.200)\S{0,400}(?:credentials|/token|identity)"
)
_PATH = re.compile(r"(?<![~\w.-])[~\w.-]*/[\w./~-]+")


def _asks(run: Run) -> bool:
    """The keychain, the cloud's metadata, or a program of its own."""
    if run.name == "security":
        asks = any(word.startswith("find-") for word in run.words) and not {"w", "g"}.isdisjoint(run.flags)
        return asks or "dump-keychain" in run.words
    if run.name in FETCHERS:
        return "/api/token" not in run.raw and _METADATA.search(run.raw) is not None
    return bool(run.code) and any(map(places.credential, _PATH.findall(run.code)))


def sends_out(line: Runs) -> bool:
    encoded = any(run.name in _ENCODERS for run in line.all)
    return any(_sends(pipe, encoded=encoded) for pipe in line.pipes)


def _sends(pipe: Pipe, *, encoded: bool) -> bool:
    secret = key = False  # whether one before says such
    for run in pipe:
        if (
            run.name in _SENDERS
            and not _stays(run)
            and (secret or _uploads(run) or _spells(run, encoded=encoded))
        ):
            return True
        if run.name in _CARRIERS and (key or _carries(run)):
            return True
        secret, key = secret or _gives(run), key or _gives_key(run)
    return False


def _stays(run: Run) -> bool:
    """Whether it goes nowhere but to one's own machine."""
    hosts = [word for word in run.plain if _ADDRESS.match(word)]
    return bool(hosts) and all(map(_OWN_MACHINE.match, hosts))


def _gives(run: Run) -> bool:
    """Whether it says what others should not hear."""
    bare = run.name in ("env", "printenv", "set", "export", "history") and not run.plain
    return bare or any(map(places.private, (*run.words, *_inputs(run)))) or any(map(_gives, run.within))


def _gives_key(run: Run) -> bool:
    return any(map(places.credential, (*run.words, *_inputs(run))))


def _carries(run: Run) -> bool:
    """Whether a credential is among what it copies; `-i` says which key opens the door."""
    pairs = pairwise(("", *run.words[:-1]))
    return any(places.credential(word) for flag, word in pairs if flag not in ("-i", "-F", "-e", "--rsh"))


# Where a sender's own credentials stand, and what it writes to.
_OWN = frozenset((
    "-E", "--cert", "--key", "--cacert", "-K", "--config", "--netrc-file", "-b", "--cookie", "-c", "--cookie-jar",
    "-o", "--output", "-O", "-H", "--header", "-u", "--user", "--oauth2-bearer", "-A", "--user-agent",
))  # fmt: skip


def _uploads(run: Run) -> bool:
    """A private file, or what shows one, among what it is given to send."""
    sent = _sent(run)
    parts = [part for word in sent if "://" not in word for part in re.split(r"[@=;<]", word)]
    if any(map(places.private, (*parts, *_inputs(run)))):
        return True
    return any(SUBSTITUTED in word for word in sent) and any(map(_gives, run.within))


def _sent(run: Run) -> list[str]:
    return [word for flag, word in pairwise(("", *run.words)) if flag not in _OWN]


_ADDRESS = re.compile(r"\w+://|localhost\b|[\w-]+(?:\.[\w-]+)+(?:[:/]|$)")
_OWN_MACHINE = re.compile(r"(?:https?://)?(?:localhost|127\.0\.0\.1|\[?::1\]?)(?:[:/]|$)")
_HOST = re.compile(rf"://{SUBSTITUTED}(?:[:/]|$)")


def _spells(run: Run, *, encoded: bool) -> bool:
    """What the machine says of itself, or a file, spelt into an address or a host's name."""
    if run.name in _RESOLVERS:
        made = any(re.search(rf"{SUBSTITUTED}[\w.-]", word) for word in run.words)
        return made or (encoded and any(re.search(r"\$\{?\w+\}?\.", word) for word in run.words))
    spelt = any(SUBSTITUTED in word and not _HOST.search(word) for word in _addresses(run))
    return spelt and any(map(_tells, run.within))


def _addresses(run: Run) -> list[str]:
    """What it is given as a place to go to. Bodies often hold files, written as base64 by right."""
    return [
        word
        for word in _sent(run)
        if "://" in word or re.match(rf"[\w.-]*{SUBSTITUTED}\.|[\w-]+(?:\.[\w-]+)+/", word)
    ]


def _tells(run: Run) -> bool:
    return run.name in _TELLTALES or (run.name == "uname" and not {"a", "n"}.isdisjoint(run.flags))
