"""How good the scanners are: recall and false positives on labelled rows, with the thresholds that are shipped."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.errors import ConfigError
from gateway.guards.findings import Sample
from gateway.guards.registry import NAMES, canonical, scanner

# Labelled by their sources, and not to be told by text or form (harmless errands, absolute paths, names of people):
# printed apart, and counted in no sum.
APART = (
    "bipia-indirect-task",
    "payloadsallthethings-absolute-path",
    "presidio-research-synth:name-or-address-only",
)


@dataclass(slots=True)
class Tally:
    attacks: int = 0
    caught: int = 0
    honest: int = 0
    flagged: int = 0

    def add(self, *, label: bool, fired: bool) -> None:
        if label:
            self.attacks += 1
            self.caught += fired
        else:
            self.honest += 1
            self.flagged += fired

    @property
    def recall(self) -> float:
        return self.caught / self.attacks if self.attacks else 0.0

    @property
    def false_positive_rate(self) -> float:
        return self.flagged / self.honest if self.honest else 0.0


@dataclass(slots=True)
class Table:
    name: str
    sum: Tally = field(default_factory=Tally)  # without the sources that stand apart
    sources: dict[str, Tally] = field(default_factory=dict)


def evaluate(folder: Path) -> list[Table]:
    """One table for each file of the folder that bears a scanner's name."""
    files = [path for path in sorted(folder.glob("*.jsonl")) if canonical(path.stem) in NAMES]
    if not files:
        raise ConfigError(f"{folder}: no NAME.jsonl here, NAME being one of {', '.join(NAMES)}")
    return [_table(path) for path in files]


def _table(path: Path) -> Table:
    table, judge = Table(path.stem), scanner(canonical(path.stem))
    for text, label, source in _rows(path):
        fired = any(finding.score >= judge.threshold for finding in judge.scan(Sample(text)))
        table.sources.setdefault(source, Tally()).add(label=label, fired=fired)
        if not source.startswith(APART):
            table.sum.add(label=label, fired=fired)
    return table


def _rows(path: Path) -> Iterator[tuple[str, bool, str]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
                text = (
                    row["text"]
                    if "text" in row
                    else base64.b64decode(row["text_b64"]).decode("utf-8", "replace")
                )
                yield str(text), bool(row["label"]), str(row.get("source", ""))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path}, line {number}: not a row of text (or text_b64) and label: {error}"
                ) from None
