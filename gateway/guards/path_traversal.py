"""Paths that climb out: decoded as hostile servers decode them, then walked segment by segment.

A value that *is* a path is judged by where it leads: `/workspace/a/../b` stays inside and passes, `/workspace/../etc` leaves.
In prose or code, where `../` is ordinary, only a climb to a well-known target or an encoded climb is one.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from gateway.guards.findings import Finding, Sample, shown

# A percent-encoded byte that never starts a character, or a longer form of a short one: only attacks write these.
_OVERLONG = re.compile(
    r"%(?:25)*(?:c[01](?:%|\.|[0-9a-f]{2})|e0%(?:25)*[89][0-9a-f]|f0%(?:25)*8[0-9a-f]|f[8-d]%|bg%(?:25)*qf)",
    re.I,
)
# Dots written as bytes next to dots, or letters that nobody needs to encode.
_ENCODED_DOTS = re.compile(r"%(?:25)*2e(?:\.|%(?:25)*2e)|\.%(?:25)*2e|(?:%%3[2e]%*[36]\d){2}", re.I)
_NEEDLESS = re.compile(r"(?:%(?:25)*(?:2e|2f|[46][1-9a-f]|[57][0-9a])){4,}", re.I)
_WIDE = re.compile(r"[%\\][uU]([0-9a-fA-F]{4})")
_BYTE = re.compile(r"[0\\][xX]([0-9a-fA-F]{2})")
_BARE = re.compile(r"(?<=\.\.)(2f|5c|u2215|u2216)", re.I)
_SENSITIVE = re.compile(
    r"(?:^|/)(?:etc/(?:passwd|shadow|group|hosts|issue|master\.passwd|security/passwd|sudoers)|boot\.ini|win\.ini|system\.ini|"
    r"windows/(?:system32|win\.ini|repair)|winnt/|proc/(?:self|version|cmdline|\d+)/?|\.ssh/|id_rsa|web-inf/|\.htpasswd|\.aws/credentials|"
    r"var/log/|global\.asa|sam$)",
    re.I,
)
_ABSOLUTE = re.compile(
    r"(?:[a-z]:)?/+(?:etc/(?:passwd|shadow|master\.passwd|security/passwd|sudoers)|boot\.ini|win(?:dows|nt)/(?:win\.ini|system32/|repair/)"
    r"|proc/self/|root/\.ssh/|inetpub/.*global\.asa)(?:[/\x00?]|$|(?<=/))",
    re.I,
)
_LEAF = re.compile(r"(?:^|/)etc/(?:passwd|shadow)(?:[\x00;?].*)?$|(?:^|/)(?:boot|win)\.ini$", re.I)
_DOTTED = re.compile(
    r"(?:^|/)\.{3,}/(?:.*/)?\.{2,}(?:/|$)|(?:\./){8,}|(?:^|/)\.{24,}/|(?:^|/)\.{3,}/+(?:etc|windows|winnt|boot)\b",
    re.I,
)
_BEGINS = re.compile(r"(?:\.{1,2}|~)?[/\\]|[a-z]:[/\\]", re.I)  # a path may hold spaces and brackets
_LINES = re.compile(r"[\n\"'`<>{}=]")
_PROSE = re.compile(r"[\s\"'`()<>{}\[\],=]")
# These stand for slash and backslash in the best-fit mappings that some servers apply.
_SLASHES = str.maketrans({"\\": "/", "∕": "/", "⁄": "/", "∖": "/", "／": "/", "＼": "/", "\uf025": "/", "\uefc8": "/",
                          "．": ".", "\u2024": ".", "\ufffd": "?"})  # fmt: skip


class PathTraversal:
    name = "path_traversal"
    threshold = 0.5

    def scan(self, sample: Sample) -> list[Finding]:
        text = sample.text
        if "." not in text and "%" not in text and "/" not in text and "\\" not in text:
            return []
        return [
            Finding(self.name, rule, start, end, score, shown(text, start, end))
            for rule, start, end, score in self._verdicts(text)
        ]

    def _verdicts(self, text: str) -> Iterator[tuple[str, int, int, float]]:
        if "%" in text:
            overlong = _OVERLONG.search(text)
            if overlong:
                yield "overlong_encoding", overlong.start(), len(text), 0.95
            written = _ENCODED_DOTS.search(text) or (_NEEDLESS.search(text) if len(text) < 1024 else None)
            if written:
                yield "encoded_path", written.start(), len(text), 0.9
        plain = canonical(text)
        inner = text.strip()
        prose = len(text) > 1024 or bool((_LINES if _BEGINS.match(inner) else _PROSE).search(inner))
        if not prose and plain:
            yield from self._value(text, plain)
        else:
            yield from self._content(text, plain)

    def _value(self, text: str, plain: str) -> Iterator[tuple[str, int, int, float]]:
        if "\x00" in plain:
            yield "null_byte", 0, len(text), 0.9
        if climbs(plain):
            yield "leaves_its_directory", 0, len(text), 0.9
        if _DOTTED.search(plain):
            yield "dotted_segments", 0, len(text), 0.8
        elif "%" in text and ("../" in plain or "/.." in plain):
            yield "encoded_climb", 0, len(text), 0.8
        if _ABSOLUTE.match(plain.removeprefix("file://")) or _LEAF.search(plain):
            yield "sensitive_file", 0, len(text), 0.7

    def _content(self, text: str, plain: str) -> Iterator[tuple[str, int, int, float]]:
        for path in _PROSE.split(plain) if "../" in plain else ():
            if "../" not in path:
                continue
            if _SENSITIVE.search(path):
                yield "climb_to_sensitive_file", *_place(text, path), 0.8
            elif plain != text and path not in text.replace("\\", "/") and path.count("..") > 1:
                yield "encoded_climb", 0, len(text), 0.8


def _place(text: str, path: str) -> tuple[int, int]:
    at = text.find(path)
    return (at, at + len(path)) if at >= 0 else (0, len(text))


def canonical(text: str) -> str:
    """One spelling: bytes unquoted until nothing changes, look-alikes as what they stand for, `/` only."""
    for _ in range(4):
        before = text
        text = _BYTE.sub(lambda m: chr(int(m[1], 16)), text)
        if "&#" in text:
            text = html.unescape(text)
        text = _WIDE.sub(lambda m: chr(int(m[1], 16)), text)
        if "%" in text:
            text = unquote_to_bytes(text).decode("utf-8", "replace")
        if text == before:
            break
    text = _BARE.sub("/", text.translate(_SLASHES))
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_SLASHES)


def climbs(path: str) -> bool:
    """Whether a path leads out of where it starts: a relative one above its base, an absolute one out of its first directory."""
    absolute = path.startswith("/") or "://" in path[:16] or path[1:3] == ":/"
    if "://" in path[:16]:
        path = path.split("://", 1)[1].partition("/")[2] if not path.startswith("file://") else path[7:]
    depth, deepest = 0, 0
    for segment in path.split("/"):
        if segment in ("", "."):
            continue
        if re.fullmatch(r"\.\.[\x00-\x20;?]*", segment) or re.fullmatch(r"\.{2}(?:;.*)?", segment):
            depth -= 1
            if depth < (1 if absolute and deepest else 0):
                return True
        else:
            depth += 1
            deepest = max(deepest, depth)
    return False


SCANNER = PathTraversal()
