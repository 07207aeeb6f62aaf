"""Fenced code in a text that people and models read: it shows commands by right, and goes into no shell as it stands."""

from __future__ import annotations


def any_in(text: str) -> bool:
    return "```" in text or "~~~" in text


def blanked(text: str) -> str:
    """The text with spaces where closed fences enclose code, and for the fences: every place in it stays where it was."""
    lines = text.splitlines(keepends=True)
    opened, sign = 0, ""
    for number, line in enumerate(lines):
        mark = line.strip()
        if not sign:
            opened, sign = number, _fence(mark)
        elif mark.startswith(sign) and not mark.strip(sign[0]):
            lines[opened : number + 1] = map(_blank, lines[opened : number + 1])
            sign = ""
    return "".join(lines)


def _fence(mark: str) -> str:
    """The backticks or tildes that open one, or nothing."""
    rest = mark.lstrip(mark[:1])
    return mark[: len(mark) - len(rest)] if mark.startswith(("```", "~~~")) and mark[0] not in rest else ""


def _blank(line: str) -> str:
    return "\n".join(" " * len(part) for part in line.split("\n"))
