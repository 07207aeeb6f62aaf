"""From what fired to what happens: verdicts for the record, a refusal for the caller, masks for the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.call import Call, Verdict
from gateway.errors import Refused
from gateway.guards.commands.rules import REMEDIES
from gateway.guards.findings import shown
from gateway.guards.inspection import Hit
from gateway.guards.placeholders import Placeholders
from gateway.guards.rules import Rule
from gateway.guards.strings import Path, Piece
from gateway.refusals import Refusal

REMEDY = {
    "secrets": "take the credential out, or pass it in a way that the model does not see",
    "pii": "take the personal data out",
    "hidden_characters": "remove the invisible characters",
    "path_traversal": "name the file by a path inside of the allowed folder",
    "sql_injection": "send one statement that only reads, with its values as parameters",
    "command_injection": "send plain values, without what a shell would run",
}
OTHERWISE = "rephrase it or leave it out; if this is a mistake, the operator can change the rule"


def place(piece: Piece) -> str:
    """`messages[3].content[0].text`. Keys are their sender's words: they go into logs on one line, and short."""
    parts = [f"[{p}]" if isinstance(p, int) else f".{shown(p, 0, len(p), limit=40)}" for p in piece.path]
    return "".join(parts).lstrip(".") or piece.place


def refusal(rule: Rule, what: str, where: str) -> Refusal:
    """Names rule, finding and remedy; never quotes what was found, for the reader may be a model."""
    remedy = REMEDIES.get(what) or REMEDY.get(rule.scanner, OTHERWISE)
    said = (
        rule.message or f"Refused by the guard's rule {rule.name!r}: {what} in {where}. What to do: {remedy}."
    )
    return Refusal(rule.status, "permission_error", said, "guard", rule.name)


def record(call: Call, hits: Sequence[Hit], *, enforce: bool, subject: str = "") -> None:
    """One verdict for each rule that fired and each place."""
    for hit in hits:
        action = _ACTIONS[hit.rule.action] if enforce or hit.rule.action == "audit" else "would_refuse"
        where = f"{subject} {place(hit.piece)}".strip()
        how = f" (decoded from {hit.finding.how})" if hit.finding.how else ""
        reason = f"{hit.finding.rule} in {where}{how}"  # verdicts are logged: no text of the prompt
        call.verdicts.append(Verdict("guard", action, hit.rule.name, reason))  # type: ignore[arg-type]


_ACTIONS = {"reject": "refuse", "mask": "mask", "audit": "audit"}


def refuse_if_any(hits: Iterable[Hit], *, subject: str = "") -> None:
    for hit in hits:
        if hit.rule.action == "reject":
            where = f"{place(hit.piece)} of {subject}" if subject else place(hit.piece)
            raise Refused(refusal(hit.rule, hit.finding.rule, where))


def masked(hits: Iterable[Hit], placeholders: Placeholders) -> dict[Path, str]:
    """The texts that must change, by path."""
    by_path: dict[Path, list[Hit]] = {}
    for hit in hits:
        if hit.rule.action == "mask":
            by_path.setdefault(hit.piece.path, []).append(hit)
    return {path: _masked(found, placeholders) for path, found in by_path.items()}


def _masked(hits: list[Hit], placeholders: Placeholders) -> str:
    text, out, end = hits[0].piece.text, [], 0
    for hit in sorted(hits, key=lambda h: (h.finding.start, -h.finding.end)):
        start, stop = max(hit.finding.start, end), hit.finding.end
        if stop > start:
            kind = hit.rule.scanner or "masked"
            out += [text[end:start], placeholders.stand_in(kind, text[start:stop])]
            end = stop
    return "".join([*out, text[end:]])
