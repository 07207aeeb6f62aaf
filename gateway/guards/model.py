"""Linear models over pieces of text, small enough to ship and quick enough for pure Python.

A text is cut into overlapping segments; a segment's features are the distinct pieces of it that the model knows (characters in
a row, words and word pairs, or the shapes of tokens); its score is the sum of their weights over the root of their number, plus
the weights of its marks: the names of the scanner's rules that match in it, as evidence that the model weighs. The text's score
is its highest segment's, mapped to 0..1. Scripts train with the very functions that score here.

A weights file is text: a line of JSON (kind, bias, scale, marks, threshold, figures), a line of base85 with one signed byte per
piece, then the pieces, one a line.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

Marks = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Segment:
    """The segment that scored highest: a probability, its place in the folded text, and the rules that spoke for it."""

    score: float
    start: int
    end: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    weights: dict[str, float]
    marks: dict[str, float]
    bias: float
    kind: str
    about: dict[str, Any]

    def highest(self, folded: str, marks: Marks) -> Segment:
        best, where = -math.inf, (0, 0)
        spoke: list[str] = []
        for start, end in segments(len(folded), KINDS[self.kind].width):
            piece = folded[start:end]
            value = self._value(piece, named := marks(piece))
            if value > best:
                best, where, spoke = value, (start, end), named
        spoke.sort(key=lambda name: -self.marks.get(name, 0.0))
        return Segment(1 / (1 + math.exp(-max(-30.0, min(30.0, best)))), *where, tuple(spoke))

    def _value(self, piece: str, marks: list[str]) -> float:
        known = [w for w in map(self.weights.get, KINDS[self.kind].features(piece)) if w is not None]
        value = self.bias + sum([self.marks.get(name, 0.0) for name in marks])
        return value + sum(known) / math.sqrt(len(known)) if known else value


def segments(size: int, width: int) -> Iterator[tuple[int, int]]:
    """Half-overlapping windows; the last one ends with the text."""
    step = width // 2
    for start in range(0, max(1, size - step), step):
        yield start, min(size, start + width)


# --- what a piece is ------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[a-z0']+|[^\sa-z0']")


def prose(text: str) -> set[str]:
    """Five characters in a row, words, and pairs of words."""
    words = _WORD.findall(text)
    found = {text[i : i + 5] for i in range(len(text) - 4)}
    found.update(map("\t".join, itertools.pairwise(words)))
    found.update(map("\t".__add__, words))
    return found


_TOKEN = re.compile(r"[a-z_@][a-z0_]*|0+|--+|/\*|\*/|\|\||&&|\$\(|\$\{|[<>!=]+|\s+|.")


def payload(text: str) -> set[str]:
    """Two to four characters in a row, and one to four tokens in a row with names and numbers reduced to their kind."""
    text = f"\x02{text}\x03"
    shapes = [_shape(token) for token in _TOKEN.findall(text)]
    found = {text[i : i + 2] for i in range(len(text) - 1)}
    found.update([text[i : i + 3] for i in range(len(text) - 2)])
    found.update([text[i : i + 4] for i in range(len(text) - 3)])
    for size in (1, 2, 3, 4):
        found.update(["\t".join(shapes[i : i + size]) + "\t" for i in range(len(shapes) - size + 1)])
    return found


_KNOWN = frozenset(
    # SQL
    [
        "select",
        "union",
        "all",
        "from",
        "where",
        "and",
        "or",
        "not",
        "null",
        "like",
        "rlike",
        "regexp",
        "between",
        "in",
        "is",
        "as",
        "on",
        "join",
        "order",
        "group",
        "by",
        "having",
        "limit",
        "into",
        "outfile",
        "dumpfile",
        "insert",
        "update",
        "delete",
        "drop",
        "create",
        "alter",
        "table",
        "exec",
        "execute",
        "declare",
        "set",
        "cast",
        "convert",
        "char",
        "chr",
        "concat",
        "concat_ws",
        "substr",
        "substring",
        "mid",
        "ascii",
        "ord",
        "hex",
        "unhex",
        "sleep",
        "benchmark",
        "waitfor",
        "delay",
        "pg_sleep",
        "if",
        "case",
        "when",
        "then",
        "else",
        "end",
        "exists",
        "information_schema",
        "sysobjects",
        "database",
        "version",
        "user",
        "users",
        "admin",
        "password",
        "count",
        "xor",
        "div",
        "mod",
        "load_file",
        "load_extension",
        "xp_cmdshell",
        "extractvalue",
        "updatexml",
        "procedure",
        "analyse",
        "begin",
        "shutdown",
        "true",
        "false",
        "binary",
        "collate",
        "top",
        "dual",
        "cat",
        "ls",
        "id",
        "whoami",
        "uname",
        "ifconfig",
        "ipconfig",
        "netstat",
        "ping",
        "wget",
        "curl",
        "nc",
        "ncat",
        "bash",
        "sh",
        "zsh",
        "ksh",
        "python",
        "perl",
        "ruby",
        "php",
        "echo",
        "printf",
        "type",
        "dir",
        "net",
        "ps",
        "rm",
        "cp",
        "mv",
        "chmod",
        "chown",
        "passwd",
        "shadow",
        "etc",
        "tmp",
        "bin",
        "usr",
        "system",
        "passthru",
        "shell_exec",
        "eval",
        "env",
        "set",
        "time",
        "cmd",
        "powershell",
        "phpinfo",
        "rmdir",
        "touch",
        "tail",
        "head",
        "grep",
        "awk",
        "sed",
        "find",
        "xargs",
        "sudo",
        "su",
        "kill",
        "nslookup",
        "dig",
        "host",
        "ftp",
        "telnet",
        "ssh",
    ]
)


@lru_cache(4096)  # bounded: tokens are the caller's
def _shape(token: str) -> str:
    if token in _KNOWN:
        return token
    if token[0] == "@" and len(token) > 1:
        return "@v"
    if token[0].isalpha() or token[0] == "_":
        return "n"
    if token[0] == "0":
        return "0"
    return " " if token.isspace() else token


@dataclass(frozen=True, slots=True)
class Kind:
    features: Callable[[str], set[str]]
    width: int  # characters of a segment


KINDS = {"prose": Kind(prose, 800), "payload": Kind(payload, 240)}


# --- the file -------------------------------------------------------------------------------------------------------


def dump(model: Linear) -> str:
    scale = max(map(abs, model.weights.values())) / 127
    kept = sorted(name for name, weight in model.weights.items() if round(weight / scale))
    quantised = array("b", [round(model.weights[name] / scale) for name in kept]).tobytes()
    marks = {name: round(weight, 3) for name, weight in model.marks.items()}
    head = {"kind": model.kind, "bias": round(model.bias, 4), "scale": scale, "marks": marks, **model.about}
    return "\n".join([json.dumps(head), base64.b85encode(quantised).decode(), *map(_escaped, kept)]) + "\n"


def load(text: str) -> Linear:
    head, encoded, *names = text.rstrip("\n").split("\n")
    about = json.loads(head)
    values = array("b", base64.b85decode(encoded))
    scale = about.pop("scale")
    weights = {_unescaped(name): value * scale for name, value in zip(names, values, strict=True)}
    return Linear(weights, about.pop("marks"), about.pop("bias"), about.pop("kind"), about)


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode()


def _unescaped(name: str) -> str:
    return name if "\\" not in name and name.isascii() else name.encode().decode("unicode_escape")


@cache
def shipped(name: str) -> Linear:
    """The model of this name that comes with the package, read when it is first asked for."""
    return load((resources.files("gateway.guards") / "weights" / f"{name}.txt").read_text("utf-8"))
