"""One answer to "may they?" for models and tools alike: switches, the key's own limits, scopes, rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from gateway import refusals
from gateway.call import Call, Operation, Principal, Verdict
from gateway.refusals import Refusal

if TYPE_CHECKING:
    from gateway.policy.rules import Denial, Rules


class Challenge(Protocol):
    """What a 403 for missing scopes tells an OAuth client in `WWW-Authenticate`."""

    def __call__(self, *, error: str, description: str, scopes: Sequence[str]) -> str: ...


class Off(Protocol):
    def refusal(self, call: Call, op: Operation) -> Refusal | None: ...


class Authorization:
    """Decides one operation: `Authorization(allow=['jwt.role == "admin"']).decide(call, op)`.

    `scopes` are those that a tool needs, by its name (either the upstream's or the one that clients see; `*` for every tool).
    With `enforce=False` what would be refused is only noted. Switches and the limits of a key are enforced always.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        require: Sequence[str] = (),
        scopes: Mapping[str, Sequence[str]] | None = None,
        challenge: Challenge | None = None,
        switches: Off | None = None,
        enforce: bool = True,
    ) -> None:
        self.scopes = {name: tuple(needed) for name, needed in (scopes or {}).items()}
        self.challenge = challenge
        self.switches = switches
        self.enforce = enforce
        self.rules = _rules(allow, deny, require)

    def decide(self, call: Call, op: Operation) -> Refusal | None:
        refused = None if self.switches is None else self.switches.refusal(call, op)
        if refused is None and call.principal.key is not None:
            refused = key_limits(call.principal, op)
        if refused is not None:
            return _noted(call, op, refused, "refuse")
        if self.scopes:
            refused = self._missing_scopes(call, op)
        if refused is None and self.rules is not None and (denial := self.rules.denial(call, op)) is not None:
            refused = refusals.forbidden(_said(denial, op), rule=_named(denial))
        if refused is None:
            return None
        _noted(call, op, refused, "refuse" if self.enforce else "would_refuse")
        return refused if self.enforce else None

    def needed(self, op: Operation) -> tuple[str, ...]:
        """The scopes that this operation needs, all at once."""
        if not self.scopes or op.subject != "tool":
            return ()
        names = ("*", op.name, op.exposed) if op.name != op.exposed else ("*", op.name)
        return tuple(dict.fromkeys(scope for name in names for scope in self.scopes.get(name, ())))

    def _missing_scopes(self, call: Call, op: Operation) -> Refusal | None:
        needed = self.needed(op)
        # A listed tool is shown, or no client could ever learn which scope to ask for.
        if not needed or call.principal.scopes.issuperset(needed) or op.method.endswith("/list"):
            return None
        message = f"the token lacks a scope: {op.exposed or op.name} needs {' '.join(needed)}; authorize again with it"
        headers = (("www-authenticate", self._challenged(needed, message)),)
        return Refusal(403, "permission_error", message, "scope", " ".join(needed), headers=headers)

    def _challenged(self, needed: Sequence[str], message: str) -> str:
        if self.challenge is None:
            return f'Bearer error="insufficient_scope", scope="{" ".join(needed)}"'
        return self.challenge(error="insufficient_scope", description=message, scopes=needed)


def _rules(allow: Sequence[str], deny: Sequence[str], require: Sequence[str]) -> Rules | None:
    if not (allow or deny or require):
        return None
    from gateway.policy.rules import Rules  # CEL costs 0.16 s to import, and only rules need it

    return Rules(allow=allow, deny=deny, require=require)


def key_limits(principal: Principal, op: Operation) -> Refusal | None:
    """A virtual key may be made for some models only."""
    models = (principal.key or {}).get("models")
    if (
        not models
        or op.kind != "llm"
        or not op.model
        or any(fnmatchcase(op.model, pattern) for pattern in models)
    ):
        return None
    message = f"this key is not for the model {op.model}; it is for {', '.join(models)}"
    return refusals.forbidden(message, policy="key", rule=f"models of {principal.id}")


def _what(op: Operation) -> str:
    if op.kind == "llm":
        return f"the model {op.model}" if op.model else op.method
    return f"the {op.subject} {op.exposed or op.name}" if op.subject else op.method or "every call here"


def _said(denial: Denial, op: Operation) -> str:
    why = {
        "allow": "no rule allows it",
        "deny": "a rule denies it",
        "require": "a rule that must hold does not",
    }
    return f"policy authz refuses {_what(op)}: {why[denial.kind]}. The gateway's operator can see which, by this request's id"  # fmt: skip


def _named(denial: Denial) -> str:
    return f"{denial.kind}: {denial.rule}" if denial.rule else "allow: none of the rules"


def _noted(call: Call, op: Operation, refusal: Refusal, action: str) -> Refusal:
    verdict = Verdict(refusal.policy, action, refusal.rule, refusal.message)  # type: ignore[arg-type]
    if not op.method.endswith("/list") and verdict not in call.verdicts:
        call.verdicts.append(verdict)
    return refusal
