"""A command line as a shell reads it: quotes, escapes, expansions, redirects, and what is run inside of it.

One pass, whatever the text: what a shell would call an error is read as far as it goes, for who is to say which shell reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.guards.commands.syntax import (
    DEEPEST,
    SUBSTITUTED,
    Command,
    Line,
    Pipeline,
    Redirect,
    TooDeep,
    Word,
)


def parse(text: str) -> Line:
    """Raises TooDeep."""
    return _Reader(text).line("")


_SPACE = re.compile(r"(?:[^\S\n]|\\\r?\n)+")
_JOINT = re.compile(r"\\\r?\n")
_PLAIN = re.compile(r"[^\s'\"\\`$<>|&;()]+")
_QUOTED = {'"': re.compile(r'[^"\\`$]+'), "}": re.compile(r"[^}\\`$'\"]+"), "": re.compile(r"[^\\`$]+")}
_NAME = re.compile(r"\w+|[@*#?$!-]")
_ANSI = re.compile(r"'((?:[^'\\]|\\.)*)'?", re.S)
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|([0-7]{1,3})|(.))", re.S)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "e": "\x1b"}
_REDIRECT = re.compile(r"\d*(?:&>>?|>\||>&|<&|<>|<<<|<<-?|>>|>|<)")
_LIST = re.compile(r"[A-Za-z_]\w*\+?=")  # a list of values begins behind it
_COMMENT = re.compile(r"[^\n]*")
# What stands in the midst of a name to hide it.
_INNER = re.compile(rf"(?:[^\W_]*|\$.*|{SUBSTITUTED})$", re.S)
_SPECIAL = ("$", "`", '"', "\\")


@dataclass(slots=True)
class _Found:
    """A line as far as it was read."""

    start: int  # of the command
    command: Command = field(default_factory=Command)
    pipeline: Pipeline = field(default_factory=list)
    line: Line = field(default_factory=list)

    def command_ends(self, text: str, at: int) -> bool:
        """Whether there was one."""
        command, self.command = self.command, Command()
        if command:
            command.raw = text[self.start : at].strip()
            self.pipeline.append(command)
        return bool(command)

    def pipeline_ends(self) -> None:
        if self.pipeline:
            self.line.append(self.pipeline)
            self.pipeline = []


class _Reader:
    def __init__(self, text: str, depth: int = 0) -> None:
        self._text = text
        self._at = 0
        self._depth = depth
        self._ticked = False  # within backticks, where the next one ends
        self._counting = False  # within (( )), where << is no here-document
        # Here-documents, whose text begins on the next line.
        self._awaited: list[tuple[Command, str, bool]] = []

    def line(self, end: str) -> Line:
        """Up to the character that ends it, or the end of the text."""
        if self._depth > DEEPEST:
            raise TooDeep
        found = _Found(self._at)
        while self._at < len(self._text):
            self._skip(_SPACE)
            sign = self._text[self._at : self._at + 1]
            if sign in ("", end):
                break
            if sign == "#":
                self._skip(_COMMENT)
            elif sign in "\n;|&" and not self._text.startswith("&>", self._at):
                there = found.command_ends(self._text, self._at)
                waits = not there and sign == "\n"  # a pipe goes on in the next line
                if not self._piped(sign) and not waits:
                    found.pipeline_ends()
                found.start = self._at
            elif sign == ")" or self._heads_function(found.command):  # of no group that we saw: a case's
                found.command_ends(self._text, self._at)
                found.pipeline_ends()
                self._at += 1 if sign == ")" else 2
                found.start = self._at
            else:
                self._part(found.command, sign)
        found.command_ends(self._text, self._at)
        found.pipeline_ends()
        self._at += 1
        return found.line

    def _heads_function(self, command: Command) -> bool:
        """Whether `()` stands behind a name: what follows is a command of its own."""
        return (
            self._text.startswith("()", self._at)
            and bool(command.words)
            and not _LIST.fullmatch(command.words[-1].text)
        )

    def _piped(self, sign: str) -> bool:
        """Steps over a separator; True where what follows reads what stands before."""
        self._at += 1
        if sign == "\n":
            self._read_awaited()
            return False
        if self._text.startswith(sign, self._at):
            self._at += 1
            return False
        if sign == "|" and self._text.startswith("&", self._at):
            self._at += 1
        return sign == "|"

    def _part(self, command: Command, sign: str) -> None:
        redirect = _REDIRECT.match(self._text, self._at)
        inward = self._text.startswith(("<(", ">("), self._at)
        if redirect and not inward:
            self._at = redirect.end()
            self._redirect(command, redirect.group().lstrip("0123456789"))
        elif sign == "(":
            listed = (
                self._text[self._at - 1 : self._at] == "="
                and bool(command.words[-1:])
                and (_LIST.fullmatch(command.words[-1].text) is not None)
            )
            self._at += 1
            inner = self._inner(")")
            command.within += _substitutions(inner) if listed else [inner]
        else:
            command.words.append(self._word(command))

    def _redirect(self, command: Command, way: str) -> None:
        if way in ("<<", "<<-") and not self._counting:
            self._skip(_SPACE)
            start = self._at
            end = self._word(command).text
            self._awaited.append((command, end, self._text[start : self._at] == end))
            return
        self._skip(_SPACE)
        command.redirects.append(Redirect(way, self._word(command).text))

    def _read_awaited(self) -> None:
        for command, end, expanded in self._awaited:
            body = self._up_to(end)
            command.redirects.append(Redirect("<<", body))
            if expanded:
                _Reader(body, self._depth + 1).quoted("", command)
        self._awaited = []

    def _up_to(self, end: str) -> str:
        """The lines before the one that says this."""
        start = at = self._at
        while at < len(self._text):
            stop = self._text.find("\n", at) % (len(self._text) + 1)  # the last line ends with the text
            self._at = min(stop + 1, len(self._text))
            if self._text[at:stop].strip(" \t\r") == end:
                return self._text[start:at]
            at = stop + 1
        return self._text[start:]

    # --- words ---

    def _word(self, command: Command) -> Word:
        word, parts = Word(""), [""]
        while self._at < len(self._text):
            if plain := _PLAIN.match(self._text, self._at):
                parts.append(plain.group())
                self._at = plain.end()
                continue
            before = parts[-1][-1:]
            part = self._special(command, word)
            if part is None:
                break
            after = self._text[self._at : self._at + 1]
            if before.isalpha() and (after.isalpha() or after in ("'", '"', "\\")) and _INNER.match(part):
                word.pieced = True
            parts.append(part)
        word.text = "".join(parts)
        return word

    def _special(self, command: Command, word: Word) -> str | None:
        """What a quote, an escape or an expansion gives; None where the word ends."""
        sign, rest = self._text[self._at], self._text[self._at + 1 : self._at + 2]
        if sign == "'":
            return self._verbatim()
        if sign == '"':
            self._at += 1
            return self.quoted('"', command)
        if sign == "\\":
            return self._escape(quoted=False)
        if (sign == "`" and not self._ticked) or sign == "$" or (sign in "<>" and rest == "("):
            part = self._expansion(command)
            word.split = word.split or part in ("$IFS", "${IFS}")
            return part
        return None

    def _verbatim(self) -> str:
        """Between single quotes; one that nothing closes is a character like any other."""
        end = self._text.find("'", self._at + 1)
        start, self._at = self._at + 1, (end if end >= 0 else self._at) + 1
        return self._text[start:end] if end >= 0 else "'"

    def quoted(self, end: str, command: Command) -> str:
        """Up to the quote or brace that ends it; substitutions in it are run."""
        parts: list[str] = []
        plain = _QUOTED[end]
        while self._at < len(self._text):
            if match := plain.match(self._text, self._at):
                parts.append(match.group())
                self._at = match.end()
                continue
            sign = self._text[self._at]
            if sign == "`" and self._ticked:
                break
            if sign == end:
                self._at += 1
                break
            if sign in "`$":
                parts.append(self._expansion(command))
            elif sign == "\\":
                parts.append(self._escape(quoted=True))
            elif sign == "'":
                parts.append(self._verbatim())
            else:
                self._at += 1
                parts.append(self.quoted('"', command))
        return "".join(parts)

    def _escape(self, *, quoted: bool) -> str:
        """Between double quotes a backslash means something before few characters; before a line's end it takes that away."""
        if joint := _JOINT.match(self._text, self._at):
            self._at = joint.end()
            return ""
        pair = self._text[self._at : self._at + 2]
        self._at += 2
        return pair if quoted and pair[1:] not in _SPECIAL else pair[1:]

    def _expansion(self, command: Command) -> str:
        sign, rest = self._text[self._at], self._text[self._at + 1 : self._at + 2]
        self._at += 1
        if sign == "`":
            return self._substitution("`", command)
        if rest == "(":
            self._at += 1
            return self._substitution(")", command)
        if rest == "{":
            self._at += 1
            return self._braces(command)
        if rest == "'":
            return self._ansi()
        if rest == '"':
            return ""
        name = _NAME.match(self._text, self._at)
        self._at = name.end() if name else self._at
        return f"${name.group()}" if name else "$"

    def _substitution(self, end: str, command: Command) -> str:
        command.within.append(self._inner(end))
        return SUBSTITUTED

    def _inner(self, end: str) -> Line:
        before = self._depth, self._ticked, self._counting
        self._depth += 1
        self._ticked = end == "`"
        self._counting = self._counting or self._text.startswith("(", self._at)
        line = self.line(end)
        self._depth, self._ticked, self._counting = before
        return line

    def _braces(self, command: Command) -> str:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooDeep
        name = self.quoted("}", command)
        self._depth -= 1
        return f"${{{name}}}"

    def _ansi(self) -> str:
        match = _ANSI.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return _ESCAPED.sub(_character, match[1]) if match else ""

    def _skip(self, what: re.Pattern[str]) -> None:
        if match := what.match(self._text, self._at):
            self._at = match.end()


def _substitutions(line: Line) -> list[Line]:
    """Of the values in NAME=( … ), which are no commands."""
    return [each for pipeline in line for command in pipeline for each in command.within]


def _character(match: re.Match[str]) -> str:
    if match[4] is not None:
        return _LETTERS.get(match[4], match[4])
    code = int(match[1] or match[2], 16) if match[1] or match[2] else int(match[3], 8) & 0xFF
    return chr(code)
