"""Rules, and what they say of one operation.

Any `deny` that is true refuses; every `require` must be true; where `allow` rules stand, one must be true. What happens when
a rule reads something that this operation or this caller does not have is the whole difficulty, and stands in `docs/policy.md`:

- The operation has no subject yet (`initialize`, a list as a whole, the arguments of a tool that is only listed): the rule
  stands for everything that it could still be, and the calls that follow are judged one by one.
- The operation is of another kind: the rule does not stand. It neither denies nor is required, and it does not allow.
- The caller has no JWT (or key): an `allow` and a `require` are false, a `deny` is not true.
- Anything else that has no value is an error, and an error never lets anything through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.call import Call, Operation
from gateway.policy import cel, facts
from gateway.policy.cel import Expression
from gateway.policy.errors import CelError
from gateway.policy.possible import ABSENT, EITHER, ERROR, FALSE, TRUE, Outcomes, Part
from gateway.policy.variables import Path, Values

Kind = Literal["allow", "deny", "require"]
SUBJECTS = frozenset({"tool", "prompt", "resource", "task"})


@dataclass(frozen=True, slots=True)
class Denial:
    """Which rule said no; empty where none of the `allow` rules said yes."""

    kind: Kind
    rule: str = ""


class Rules:
    """`Rules(allow=[…], deny=[…], require=[…]).denial(call, op)`: None lets the operation pass."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        require: Sequence[str] = (),
        engine: cel.Engine = "auto",
    ) -> None:
        self.allow, self.deny, self.require = (
            [Part(cel.compile(text, engine=engine)) for text in texts] for texts in (allow, deny, require)
        )
        reads = {read for expression in self.expressions for read in expression.reads}
        self.denial = facts.remembered(reads, self._denial)

    @property
    def expressions(self) -> list[Expression]:
        return [part.expression for part in (*self.deny, *self.require, *self.allow)]

    def _denial(self, call: Call, op: Operation) -> Denial | None:
        values = Values(call, op)
        for part in self.deny:
            if not _outcomes(part, values) - {"true", "error"}:
                return Denial("deny", part.expression.text)
        for part in self.require:
            if "true" not in _outcomes(part, values):
                return Denial("require", part.expression.text)
        if self.allow and not any(_allows(part, values) for part in self.allow):
            return Denial("allow")
        return None


def _outcomes(part: Part, values: Values) -> Outcomes:
    try:
        return TRUE if part.expression.holds(values) else FALSE
    except CelError:
        return part.outcomes(values, _valueless)


def _allows(part: Part, values: Values) -> bool:
    found = _outcomes(part, values)
    return found == TRUE or ("true" in found and not foreign(part.expression.reads, values.op))


def _valueless(reads: tuple[Path, ...], values: Values) -> Outcomes:
    """What an expression without a value could be, once what it reads is there."""
    if foreign(reads, values.op) or any(_later(read, values.op) for read in reads):
        return EITHER
    return ABSENT if any(_no_credential(read, values) for read in reads) else ERROR


def foreign(reads: tuple[Path, ...], op: Operation) -> bool:
    """The rule is about another kind of traffic, or about another kind of subject."""
    return any(_foreign(read, op) for read in reads)


def _foreign(read: Path, op: Operation) -> bool:
    if read[0] == "mcp":
        other = len(read) > 1 and read[1] in SUBJECTS and op.subject is not None and read[1] != op.subject
        return op.kind != "mcp" or other
    return read[0] in ("llm", "llmRequest") and op.kind != "llm"


def _later(read: Path, op: Operation) -> bool:
    if read[0] == "mcp":
        if len(read) < 2 or read[1] not in SUBJECTS:
            return not op.method
        return op.subject is None or (read[2:3] == ("arguments",) and listed(op))
    return (read[0] == "llmRequest" or read[:2] in _MODELS) and op.method in ("models", "model")


_MODELS = frozenset(("llm", name) for name in ("model", "requestModel", "maxTokens"))


def listed(op: Operation) -> bool:
    """An entry of a list, not a call: its arguments are not known."""
    return op.subject is not None and op.method.endswith("/list")


def _no_credential(read: Path, values: Values) -> bool:
    principal = values.call.principal
    return (read[0] == "jwt" and principal.claims is None) or (read[0] in ("key", "apiKey") and principal.key is None)  # fmt: skip
