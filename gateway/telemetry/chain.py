"""Lines chained by hash, so that a line that was changed, removed or put elsewhere shows.

Each line holds its number in its chain, the hash of the line before, and at its end its own hash over everything before that.
A process begins its own chain, whose first line names the last line that stood in the file; so several processes may write
one file. With a key the hash is an HMAC, and whoever can write the file but has not the key cannot make it fit again. What no
chain can show is that its newest lines are missing: keep the last hash that `gateway audit verify` printed elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from gateway.telemetry.log import Line, encode

_MARK: Final = b',"hash":"'


class Chain:
    """Writes lines: `Chain(after=last_hash).lines([{"event": "call"}])`."""

    def __init__(self, *, after: str = "", key: bytes = b"") -> None:
        self.name = secrets.token_hex(6)
        self._place = b',"chain":"%s","n":%%d,"prev":%%s' % self.name.encode()
        self._key = key
        self._number = 0
        self._last = orjson.dumps(after)

    def lines(self, entries: Sequence[Line]) -> list[bytes]:
        """The lines of these entries, which get their places in the chain."""
        return list(map(self._line, encode(entries).split(b"\n")[:-1]))

    def _line(self, entry: bytes) -> bytes:
        body = entry[:-1] + self._place % (self._number, self._last)
        hash = _hash(body + b"}", self._key).encode()
        self._number += 1
        self._last = b'"%s"' % hash
        return body + _MARK + hash + b'"}\n'


@dataclass(slots=True)
class Verified:
    lines: int = 0
    last: str = ""
    problems: list[str] = field(default_factory=list)


def verify(lines: Iterable[tuple[str, bytes]], *, key: bytes = b"", last: str = "") -> Verified:
    """Each line comes with its place (`file:number`). `last`: a hash that must be there, as it was once seen at the end.

    In the oldest file a chain may begin in the middle where that file is one of those that were put aside (`NAME.TIME`): the
    files before it were removed when their time was over.
    """
    found, chains, known = Verified(), dict[str, tuple[int, str]](), set[str]()
    oldest = ""
    for place, line in lines:
        file = place.rpartition(":")[0]
        oldest = oldest or file
        found.lines += 1
        cut = file == oldest and file.rpartition(".")[2].isdigit()
        problem = _check(line.rstrip(b"\n"), key, chains, known, cut=cut)
        if problem:
            found.problems.append(f"{place}: {problem}")
        else:
            found.last = own(line)
    if last and last not in known:
        found.problems.append(f"the line with the hash {last} is missing")
    return found


def own(line: bytes) -> str:
    """The hash that a line says it has; "" where it says none."""
    at = line.rfind(_MARK)
    return line[at + len(_MARK) :].rstrip(b'"}\n').decode("ascii", "replace") if at > 0 else ""


def _check(line: bytes, key: bytes, chains: dict[str, tuple[int, str]], known: set[str], *, cut: bool) -> str:
    body = line[: line.rfind(_MARK)] + b"}"
    said = own(line)
    try:
        entry = orjson.loads(body)
        name, number, before = entry["chain"], entry["n"], entry["prev"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "not a line of the audit"
    if not hmac.compare_digest(said, _hash(body, key)):
        return "was changed: its hash does not fit"
    expected, last = chains.get(name, (number if cut else 0, before))
    # What follows a gap is judged by itself, so that one removed line is one problem.
    chains[name] = (number + 1, said)
    strange = number == 0 and before and before not in known and not cut
    known.add(said)
    if number != expected:
        return f"{number - expected} lines before it are missing" if number > expected else "stands twice"
    if before != last:
        return "does not follow the line before it"
    return "begins after a line that is missing" if strange else ""


def _hash(body: bytes, key: bytes) -> str:
    return hmac.digest(key, body, "sha256").hex() if key else hashlib.sha256(body).hexdigest()
