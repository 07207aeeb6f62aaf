"""What a call cost: dollars per million tokens, by provider and model.

The table beside this module is dated and written by `scripts/prices`; an operator's own prices come first. A model that
neither knows is charged at the ceiling, and counted: never nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from gateway.errors import ConfigError
from gateway.metering.usage import Usage

MILLION = 1_000_000
REMEMBERED = 4096  # names whose price is kept
LONGEST_NAME = 256
HOUR_WRITE = 1.6  # a cache write for an hour, where only the five-minute price is known
# Our names of providers, where the table has another.
_ALIASES = {"bedrock": "aws", "vertex": "google", "gemini": "google", "xai": "x-ai", "azure-openai": "azure",
            "moonshot": "moonshotai", "zhipu": "zai"}  # fmt: skip
# Who made the model is asked when its provider's own table knows nothing; resellers are not, and nothing is free then.
_MAKERS = ("anthropic", "openai", "google", "mistral", "deepseek", "x-ai", "cohere", "moonshotai", "zai")
# us.anthropic.claude-x-v1:0, models/gemini-y, publishers/google/models/gemini-z, anthropic/claude-x
_DRESS = re.compile(r"^(?:.*/)?(?:(?:global|us|eu|apac|jp|au|us-gov)\.)?(?:anthropic\.|amazon\.|meta\.)?")
_SUFFIX = re.compile(r"(?:-v\d+)?:\d+$")


# Dollars per million tokens of one call: read from a cache, written to it for an hour, for five minutes, fresh input, output.
Rates = tuple[float, float, float, float, float]


class Price(Struct, frozen=True):
    """Dollars per million tokens. What is None costs as much as `input`, or what follows from the other cache price."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    above: tuple[tuple[int, Price], ...] = ()  # from so many prompt tokens on, another price for all of them
    _plain: Rates = (0.0, 0.0, 0.0, 0.0, 0.0)  # of a prompt that none of those is for

    def __post_init__(self) -> None:
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        hour = write * HOUR_WRITE if self.cache_write_1h is None else self.cache_write_1h
        force_setattr(self, "_plain", (read, hour, write, self.input, self.output))

    def cost(self, usage: Usage) -> float:
        fresh, cached, written, long = usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h
        rates = self.rates(fresh + cached + written + long) if self.above else self._plain
        read, hour, write, input_, output = rates
        tokens = fresh * input_ + usage.output * output
        if cached or written or long:
            tokens += cached * read + written * write + long * hour
        return tokens / MILLION

    def rates(self, prompt: int) -> Rates:
        """With so many tokens in the prompt."""
        price = self
        for start, dearer in self.above:
            if prompt > start:
                price = dearer
        return price._plain


_KINDS = dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_1h"))
CEILING = Price(input=30.0, output=150.0)
CACHE = "cache"  # the provider of answers that were paid for when they were first given
_FREE = Price()


class _Table(msgspec.Struct):
    source: str
    date: str
    providers: dict[str, msgspec.Raw]


@cache
def _table() -> _Table:
    return msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=_Table)


@cache
def _rows(provider: str) -> list[tuple[re.Pattern[str], Price]]:
    raw = _table().providers.get(provider)
    return (
        [] if raw is None else [(re.compile(line[0]), _price(line[1:])) for line in msgspec.json.decode(raw)]
    )


def _price(line: Sequence[Any]) -> Price:
    tiers = line[5] if len(line) > 5 else ()
    above = tuple((tier[0], _price(tier[1:])) for tier in tiers)
    first, out, read, write, hour = line[:5]
    return Price(first or 0.0, out or 0.0, read, write, hour, above)


def dated() -> str:
    """Where the table is from and when it was written."""
    return f"{_table().source}, {_table().date}"


class Prices:
    """`Prices({"gpt-oss*": {"input": 0.1, "output": 0.4}}, ceiling={"input": 30, "output": 150})`

    The operator's own prices are by model name, `*` standing for anything, or by `PROVIDER/MODEL`.
    """

    def __init__(
        self,
        own: Mapping[str, Price | Mapping[str, float]] | None = None,
        *,
        ceiling: Price | Mapping[str, float] | None = None,
    ) -> None:
        self._own = [(_glob(name), _given(price)) for name, price in (own or {}).items()]
        self._ceiling = CEILING if ceiling is None else _given(ceiling)
        self._known: dict[tuple[str, str], Price | None] = {}
        self.unknown = 0  # calls charged at the ceiling

    def cost(self, usage: Usage, *, model: str, provider: str = "") -> tuple[float, bool]:
        """What the call is charged, and whether a price is known: if not, it is the ceiling, and counted."""
        try:  # as `of` does
            price = self._known[provider, model]
        except KeyError:
            price = self._learn(provider, model)
        if price is None:
            self.unknown += 1
            return self._ceiling.cost(usage), False
        return price.cost(usage), True

    def estimate(self, usage: Usage, *, model: str, provider: str = "") -> float:
        """What a call is going to cost."""
        return (self.of(model, provider=provider) or self._ceiling).cost(usage)

    def rates(self, prompt: int, *, model: str, provider: str = "") -> Rates:
        """What each token of a call costs whose prompt has so many."""
        return (self.of(model, provider=provider) or self._ceiling).rates(prompt)

    def of(self, model: str, *, provider: str = "") -> Price | None:
        try:
            return self._known[provider, model]
        except KeyError:
            return self._learn(provider, model)

    def _learn(self, provider: str, model: str) -> Price | None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        price = self._known[provider, model] = self._find(provider, model[:LONGEST_NAME].lower())
        return price

    def _find(self, provider: str, model: str) -> Price | None:
        if provider == CACHE:
            return _FREE
        for name in (f"{provider}/{model}", model):
            for pattern, price in self._own:
                if pattern.match(name):
                    return price
        plain = _SUFFIX.sub("", _DRESS.sub("", model))
        owner = _ALIASES.get(provider, provider)
        for table in (owner, *_MAKERS):
            for name in (model, plain):
                for pattern, price in _rows(table):
                    if pattern.search(name) and (table == owner or price.input or price.output):
                        return price
        return None


def _glob(name: str) -> re.Pattern[str]:
    return re.compile("^" + ".*".join(re.escape(part) for part in name.lower().split("*")) + "$")


def _given(price: Price | Mapping[str, float]) -> Price:
    if isinstance(price, Price):
        return price
    if unknown := set(price) - set(_KINDS):
        raise ConfigError(
            f"a price has input, output, cache_read, cache_write and cache_write_1h, not {', '.join(sorted(unknown))}"
        )
    return Price(*(price.get(kind, 0.0 if kind in ("input", "output") else None) for kind in _KINDS))  # type: ignore[arg-type]
