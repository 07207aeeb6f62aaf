"""One decision as one conditional UpdateItem: the arithmetic of `limits.bucket` in DynamoDB's expressions.

Each limit is in one of two branches, idle or busy, which the caller guesses from what it saw last. `pending` is what was
settled and not yet written: it is folded into the next write of the entity, conditions and all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.limits import bucket
from gateway.limits.bucket import MICRO, Places, Take

# Seconds after its last use until an entity is forgotten: more than the longest period.
KEPT = 40 * bucket.DAY
EXPIRES = "expires"
MARK = "\x1f"  # between a place's end and its name

Values = dict[str, "int | Places"]


class Update(NamedTuple):
    """An UpdateItem without its table and key."""

    sets: list[str]
    adds: list[str]
    conditions: list[str]
    names: dict[str, str]
    values: dict[str, Any]

    def request(self) -> dict[str, Any]:
        parts = (("SET", self.sets), ("ADD", self.adds))
        found: dict[str, Any] = {
            "UpdateExpression": " ".join(f"{verb} {', '.join(items)}" for verb, items in parts if items),
            "ExpressionAttributeNames": self.names,
            "ExpressionAttributeValues": self.values,
        }
        if self.conditions:
            found["ConditionExpression"] = " AND ".join(self.conditions)
        return found


def acquire(
    takes: Sequence[Take],
    seen: Values,
    pending: Mapping[str, int],
    now: int,
    skew: int,
    busy: Collection[str] = (),
) -> Update:
    """The write that takes all of `takes`, if each limit is in the branch that it is believed to be in.

    `busy` are limits that others move too, so that what was seen last says little: they are most likely in that branch.
    """
    update = _started(now)
    for index, take in enumerate(takes):
        name = f"#{index}"
        update.names[name] = take.limit
        if take.slot:
            _place(update, take, name, index, now, seen.get(take.limit))
        else:
            known, due = seen.get(take.limit), pending.get(take.limit, 0)
            _number(update, take, name, index, known, due, now, skew, busy=take.limit in busy)
    taken = {take.limit for take in takes}
    _add(update, {limit: due for limit, due in pending.items() if limit not in taken}, "p")
    return update


def _started(now: int) -> Update:
    ends = str((now // MICRO + KEPT) // bucket.DAY * bucket.DAY)
    return Update(["#e = :e"], [], [], {"#e": EXPIRES}, {":e": {"N": ends}})


def _number(
    update: Update,
    take: Take,
    name: str,
    index: int,
    seen: Any,
    pending: int,
    now: int,
    skew: int,
    *,
    busy: bool,
) -> None:
    t = bucket.terms(take, now, skew)
    # Within the band both are right; busy is the one that others' writes in the meantime do not break.
    if not busy and (seen is None or seen + pending <= t.origin - t.skew):
        update.sets.append(f"{name} = :n{index}")
        update.values[f":n{index}"] = number(t.origin + t.inc)
        update.values[f":o{index}"] = number(t.origin - pending)
        update.conditions.append(f"(attribute_not_exists({name}) OR {name} <= :o{index})")
        return
    update.sets.append(f"{name} = {name} + :i{index}")
    update.values[f":i{index}"] = number(t.inc + pending)
    update.values[f":l{index}"] = number(t.origin - t.skew - pending)
    update.values[f":h{index}"] = number(t.origin + t.span - t.inc - pending)
    update.conditions.append(f"{name} BETWEEN :l{index} AND :h{index}")


def _place(update: Update, take: Take, name: str, index: int, now: int, seen: Any) -> None:
    mine = member(take, now)
    if seen and len(bucket.believed(seen, now)) < len(seen):
        # Some holder died: put the set without it in place of the one that was seen.
        standing = {"SS": [f"{until}{MARK}{slot}" for slot, until in seen.items()]}
        kept = [f"{until}{MARK}{slot}" for slot, until in bucket.believed(seen, now).items()]
        update.sets.append(f"{name} = :n{index}")
        update.values[f":n{index}"] = {"SS": [*kept, mine]}
        update.values[f":o{index}"] = standing
        update.conditions.append(f"{name} = :o{index}")
        return
    update.adds.append(f"{name} :n{index}")
    update.values[f":n{index}"] = {"SS": [mine]}
    update.values[f":h{index}"] = number(int(take.burst))
    update.conditions.append(f"(attribute_not_exists({name}) OR size({name}) < :h{index})")


def member(take: Take, now: int) -> str:
    return f"{now + int(take.hold * MICRO)}{MARK}{take.slot}"


def settlement(pending: Mapping[str, int], leaving: Mapping[str, list[str]], now: int) -> dict[str, Any]:
    """The unconditional write of what is pending; `leaving` are places given back."""
    update = _started(now)
    _add(update, pending, "p")
    request = update.request()
    removals = []
    for index, (limit, members) in enumerate(leaving.items()):
        update.names[f"#d{index}"] = limit
        update.values[f":d{index}"] = {"SS": members}
        removals.append(f"#d{index} :d{index}")
    if removals:
        request["UpdateExpression"] += " DELETE " + ", ".join(removals)
    return request


def _add(update: Update, due: Mapping[str, int], prefix: str) -> None:
    for index, (limit, amount) in enumerate(due.items()):
        update.names[f"#{prefix}{index}"] = limit
        update.values[f":{prefix}{index}"] = number(amount)
        update.adds.append(f"#{prefix}{index} :{prefix}{index}")


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def state(item: Mapping[str, Any]) -> Values:
    """The limits of an entity's item."""
    found: Values = {}
    for name, value in item.items():
        if "SS" in value:
            pairs = (text.partition(MARK) for text in value["SS"])
            found[name] = {slot: int(until) for until, _, slot in pairs}
        elif "N" in value and name != EXPIRES:
            found[name] = int(value["N"])
    return found
