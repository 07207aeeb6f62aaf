"""Texts grown from a grammar: a rule is a name and its alternatives, and `{name}` stands for any of them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence


def grown(
    forms: Sequence[str], grammar: Mapping[str, str], limit: int, seed: int, *, altered: bool = True
) -> list[str]:
    chance = random.Random(seed)
    rules = {name: re.split(r"(?<!\\)\|", line) for name, line in grammar.items()}
    texts = [_text(forms[n % len(forms)], rules, chance).strip() for n in range(limit)]
    return [_altered(text, chance) for text in texts] if altered else texts


def _text(form: str, rules: dict[str, list[str]], chance: random.Random) -> str:
    def put(match: re.Match[str]) -> str:
        name = match[1]
        found = rules.get(name) or rules[name.lower()]
        text = _text(chance.choice(found), rules, chance)
        return text if name in rules else text[:1].upper() + text[1:]

    text = re.sub(r"(?<!\{)\{(\w+)\}", put, form)
    return re.sub(r" {2,}", " ", text.replace("{{", "{").replace("}}", "}").replace("\\|", "|"))


def _altered(text: str, chance: random.Random) -> str:
    """The same in other clothes: some shout, some are careless."""
    style = chance.random()
    if style < 0.06:
        return text.upper()
    if style < 0.14:
        return text.lower().rstrip(".")
    return text.replace("'", "\u2019") if style < 0.2 else text
