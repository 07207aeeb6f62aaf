"""One inspection: rules over pieces of text, within a budget of time, remembering what was scanned before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gateway.guards import command_arguments, decode, fences, registry, sql_arguments, strings
from gateway.guards.commands import rules as commands
from gateway.guards.findings import Finding, Sample, shown
from gateway.guards.memory import Memory
from gateway.guards.patterns import Patterns, Sieve
from gateway.guards.rules import HIDDEN, PLACES, Rule
from gateway.guards.strings import Path, Piece

_PLACES = (*PLACES, "arguments", "result", "definition")  # those of bodies, and those of tools
WINDOW = 32 * 1024  # characters scanned at a time, so that the clock is looked at in between
OVERLAP = 1024
WORTH_KEEPING = 0.2  # a lower score fires at no threshold worth setting
# A statement is none of these by its syntax.
SQL_SCANNERS = ("sql_injection", "command_injection", "path_traversal")
READ = frozenset(("system", "messages", "tool_results", "result"))  # by people and models, not by a program


class Overrun(Exception):
    """The inspection took longer than it may."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fired on a piece."""

    rule: Rule
    piece: Piece
    finding: Finding


class Inspection:
    """Finished rules of one phase. `memory` is shared by all phases and requests."""

    def __init__(self, rules: Sequence[Rule], *, memory: Memory) -> None:
        self.rules = tuple(rules)
        self.plugins = tuple(rule for rule in rules if rule.plugin is not None)
        self._memory = memory
        scanners = [rule for rule in rules if rule.scanner and rule.scanner != HIDDEN]
        self.scans = bool(scanners)  # more than patterns has to run
        self._scanners = {place: [rule for rule in scanners if rule.covers(place)] for place in _PLACES}
        self._operators = [rule for rule in rules if rule.regex]
        self._patterns = Patterns({str(index): rule.regex for index, rule in enumerate(self._operators)})
        for rule in scanners:
            registry.ready(rule.scanner)
        self.hidden = next((rule for rule in rules if rule.scanner == HIDDEN), None)
        self._of_commands = [
            rule for rule in self._scanners["arguments"] if rule.scanner == "command_injection"
        ]
        if self._of_commands:
            commands.judge("true")  # its patterns are compiled now, not in somebody's request

    def sieve(self) -> Sieve | None:
        """Of bodies in which nothing here fires and nothing stays unread; None where more than patterns has to run."""
        if self.scans or self.plugins or not self._patterns.joinable:
            return None
        invisible = [decode.INVISIBLE] if self.hidden else []
        return Sieve([*(rule.regex for rule in self._operators), *invisible, strings.UNREAD])

    @property
    def severe(self) -> bool:
        return any(rule.action != "audit" for rule in self.rules)

    def hits(self, pieces: Iterable[Piece], *, deadline: float) -> list[Hit]:
        """Everything that fires. Raises Overrun when `deadline` (perf_counter) passes."""
        pieces = list(pieces)
        quiet = self._patterns.none_in([piece.text for piece in pieces])
        if quiet and not self.scans:  # invisible characters are all that could still be found
            pieces = [piece for piece in pieces if not piece.text.isascii()] if self.hidden else []
        lines = self._command_lines(pieces) if self._of_commands else []
        by_right = {piece.path for piece, _ in lines}
        hits = [hit for piece in pieces for hit in self._piece(piece, deadline, quiet, by_right)]
        hits += [hit for piece, line in lines for hit in self._command(piece, line, deadline)]
        return hits

    @staticmethod
    def _command_lines(pieces: list[Piece]) -> list[tuple[Piece, str]]:
        return command_arguments.lines([piece for piece in pieces if piece.place == "arguments"])

    def _piece(self, piece: Piece, deadline: float, quiet: bool, by_right: set[Path]) -> Iterator[Hit]:
        if time.perf_counter() > deadline:
            raise Overrun
        if self.hidden is not None and self.hidden.covers(piece.place):
            yield from self._hidden(self.hidden, piece)
        if not quiet:
            yield from self._by_operator(piece)
        scanners = self._scanners[piece.place]
        if not scanners:
            return
        statement = piece.place == "arguments" and _statement(piece)
        text = _Text(piece.text)
        for rule in scanners:
            if statement and rule.scanner in SQL_SCANNERS:
                yield from self._sql(rule, piece)
                continue
            if rule.scanner == "command_injection" and piece.path in by_right:
                continue
            for finding in self._scanned(rule.scanner, _given(rule.scanner, piece, text), deadline):
                if finding.score >= _least(rule):
                    yield Hit(rule, piece, finding)

    def _hidden(self, rule: Rule, piece: Piece) -> Iterator[Hit]:
        for kind, start, end in decode.hidden(piece.text):
            said = f"{end - start} invisible characters ({kind})"
            yield Hit(rule, piece, Finding(HIDDEN, kind, start, end, 1.0, said))

    def _by_operator(self, piece: Piece) -> Iterator[Hit]:
        for hit in self._patterns.find(piece.text):
            rule = self._operators[int(hit.rule)]
            if rule.covers(piece.place) and hit.end > hit.start:
                finding = Finding(
                    "regex", rule.name, hit.start, hit.end, 1.0, shown(piece.text, hit.start, hit.end)
                )
                yield Hit(rule, piece, finding)

    def _sql(self, rule: Rule, piece: Piece) -> Iterator[Hit]:
        if rule.scanner == "sql_injection" and (
            why := sql_arguments.judge(piece.text, read_only=rule.read_only)
        ):
            excerpt = f"the statement {why}: {shown(piece.text, 0, len(piece.text))}"
            yield Hit(rule, piece, Finding("sql_injection", "statement", 0, len(piece.text), 1.0, excerpt))

    def _command(self, piece: Piece, line: str, deadline: float) -> Iterator[Hit]:
        if time.perf_counter() > deadline:
            raise Overrun
        if why := commands.judge(line):
            said = f"{why} in the command line: {shown(line, 0, len(line))}"
            for rule in self._of_commands:
                yield Hit(rule, piece, Finding("command_injection", why, 0, len(piece.text), 1.0, said))

    def _scanned(self, scanner: str, text: _Text, deadline: float) -> tuple[Finding, ...]:
        known = self._memory.get(scanner, text.digest)
        if known is None:
            known = tuple(_fresh(scanner, text, deadline))
            self._memory.put(scanner, text.digest, known)
        return known


class _Text:
    """A text on its way through several scanners: its windows and their views are made once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = Memory.digest(text)

    @cached_property
    def samples(self) -> list[tuple[int, Sample]]:
        if len(self.text) <= WINDOW:
            return [(0, Sample(self.text))]
        starts = range(0, len(self.text) - OVERLAP, WINDOW - OVERLAP)
        return [(start, Sample(self.text[start : start + WINDOW])) for start in starts]


def _given(scanner: str, piece: Piece, text: _Text) -> _Text:
    """What a scanner reads of a piece: code that is shown is no command. A body that is only text may be anybody's."""
    if scanner == "command_injection" and piece.place in READ and piece.path and fences.any_in(piece.text):
        return _Text(fences.blanked(piece.text))
    return text


def _statement(piece: Piece) -> bool:
    named = [key for key in piece.path if isinstance(key, str)]
    return bool(named) and sql_arguments.is_sql(named[-1], piece.text)


def _least(rule: Rule) -> float:
    return float(registry.scanner(rule.scanner).threshold) if rule.threshold is None else rule.threshold


def _fresh(scanner: str, text: _Text, deadline: float) -> Iterator[Finding]:
    scan = registry.scanner(scanner).scan
    for start, sample in text.samples:
        if time.perf_counter() > deadline:
            raise Overrun
        for finding in scan(sample):
            if finding.score >= WORTH_KEEPING:
                yield replace(finding, start=finding.start + start, end=finding.end + start)
