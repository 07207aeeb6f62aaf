"""What an operation asks of each limit: which rules count it, whose buckets they take from, and how much."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import ConfigError
from gateway.limits import rules
from gateway.limits.bucket import Take
from gateway.limits.keys import ABSENT, NONE, OF_CALLER, Key, compile_plain
from gateway.limits.rules import Budget, Failure, Limit, Period, Unit

if TYPE_CHECKING:
    from gateway.call import Call, Operation

LONGEST_KEY = 200  # characters; a longer one is known by its digest
EVERYBODY = "everybody"
USED = ("tokens", "usd")  # what is only known when a call is over
_TAKEN = frozenset({"pk", "sk", "expires"})


class Rule(Struct, frozen=True):
    """A limit or a budget, ready to be asked."""

    name: str
    unit: Unit
    amount: float
    rate: float
    burst: float
    per: Period | None
    key: Key | None
    group: str  # limits with the same key share an entity, and with it one write
    when: Key | None
    uncharged: frozenset[str]  # the methods that count only because `when` names them
    on_failure: Failure
    warn: tuple[float, ...]  # percentages, the smallest first

    def surpassed(self, left: float) -> float | None:
        """The last percentage to warn at of which no more is left than this."""
        passed = bisect_right(self.warn, 100 * (1 - left / self.burst))
        return self.warn[passed - 1] if passed else None


class Share(Take, frozen=True, gc=False, kw_only=True):
    """What one rule takes from an entity."""

    rule: Rule
    resets: float = 0.0  # of a budget: when its period ends


class Group(Struct, frozen=True):
    """Rules with the same key: what they take from one entity is one write."""

    key: Key | None
    prefix: str  # of its entities' names
    asked: tuple[tuple[Rule, Share | None], ...]  # with what is the same for every call
    always: tuple[Share, ...] | None  # where nothing has to be worked out for a call
    of_caller: bool  # whether the same caller's calls always take the same


Demand = dict[str, Sequence[Share]]
_UNCHARGED = ("count_tokens", "models", "model", "initialize", "ping", "tools/list", "prompts/list", "resources/list",
              "resources/templates/list", "server/discover", "GET", "HEAD", "OPTIONS")  # fmt: skip


def compiled(
    limits: Iterable[Limit], budgets: Iterable[Budget], compile: Callable[[str], Key]
) -> tuple[Rule, ...]:
    """Rules in the order in which they are asked: keyed ones first, those that everybody shares last."""
    items: list[Limit | Budget] = [*limits, *budgets]
    found = [_rule(item, compile) for item in items]
    names = [rule.name for rule in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"two limits are called {sorted(twice)[0]!r}")
    return tuple(sorted(found, key=lambda rule: rule.key is None))


def grouped(found: Iterable[Rule]) -> tuple[Group, ...]:
    by_key: dict[str, list[Rule]] = {}
    for rule in found:
        by_key.setdefault(rule.group, []).append(rule)
    return tuple(_group(name, each) for name, each in by_key.items())


def _group(name: str, found: Sequence[Rule]) -> Group:
    asked = tuple((rule, _fixed(rule)) for rule in found)
    fixed = tuple(share for rule, share in asked if share is not None and rule.when is None)
    always = fixed if len(fixed) == len(found) else None
    key = found[0].key
    of_caller = always is not None and (key is None or key in OF_CALLER)
    return Group(key, f"{name}=", asked, always, of_caller)


def _fixed(rule: Rule) -> Share | None:
    return Share(rule.name, rule.rate, rule.burst, 1, rule=rule) if rule.unit == "requests" else None


def _rule(item: Limit | Budget, compile: Callable[[str], Key]) -> Rule:
    unit, amount = item.amount()
    name = item.title()
    if name in _TAKEN:
        raise ConfigError(f"a limit cannot be called {name!r}: the store has that name for itself")
    burst, rate = amount, 0.0
    per, warn = (item.per, tuple(sorted(item.warn))) if isinstance(item, Budget) else (None, ())
    if isinstance(item, Limit) and unit != "concurrency":
        burst, rate = item.burst or amount, amount / item.per
    when = rules.text(item.when) if item.when is not None else ""
    return Rule(
        name,
        unit,
        amount,
        rate,
        burst,
        per,
        compile(item.key) if isinstance(item.key, str) else item.key,
        EVERYBODY if item.key is None else rules.text(item.key),
        compile(item.when) if isinstance(item.when, str) else item.when,
        frozenset(method for method in _UNCHARGED if f'"{method}"' in when or f"'{method}'" in when),
        item.on_failure,
        warn,
    )


def own(limits: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The limits that a virtual key carries itself: `{requests: 120, per: 60}`, `{usd: 50, per: month}`."""
    found = [Budget(**each) if "usd" in each else Limit(**each) for each in limits]
    return tuple(_rule(_named(each), compile_plain) for each in found)


def _named(item: Limit | Budget) -> Limit | Budget:
    return replace(item, key="principal.id", name=f"the key's own {item.title()}")


def counts(rule: Rule, call: Call, op: Operation) -> bool:
    if rule.unit in USED and op.kind != "llm":
        return False  # tokens and dollars are of models
    if not op.charged and op.method not in rule.uncharged:
        return False
    if rule.when is None:
        return True
    try:
        answer = rule.when(call, op)
    except Exception:  # whatever is wrong with it: a condition that fails must not switch a limit off
        return True
    return answer is not ABSENT and bool(answer)


def entities(group: Group, call: Call, op: Operation) -> Sequence[str]:
    """Whose buckets the group takes from; none where the operation has no such subject."""
    if group.key is None:
        return (EVERYBODY,)
    try:
        value = group.key(call, op)
    except Exception:
        value = None
    if type(value) is str and 0 < len(value) <= LONGEST_KEY:
        return (group.prefix + value,)
    if value is ABSENT:
        return ()
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(dict.fromkeys(_entity(group.prefix, member) for member in value)) or (
            _entity(group.prefix, None),
        )
    return (_entity(group.prefix, value),)


def _entity(prefix: str, value: Any) -> str:
    text = NONE if value is None or value == "" else str(value)
    if len(text) > LONGEST_KEY:
        text = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return prefix + text
