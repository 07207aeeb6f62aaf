"""Which provider serves a model: the first rule that matches, and the order in which its targets are tried."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache

import msgspec

from gateway.call import Call, Operation
from gateway.endpoints import Endpoint
from gateway.errors import BadRequest, ConfigError
from gateway.llm.providers import Provider
from gateway.llm.quirks import of_model
from gateway.metering.prices import CACHE

REMEMBERED = 1024  # models' names


class Target(msgspec.Struct, frozen=True):
    """A provider's name, the model's name there ("" keeps the client's), and its share where the list is weighted."""

    provider: str
    model: str = ""
    weight: float | None = None

    @classmethod
    def parse(cls, text: str, *, weight: float | None = None) -> Target:
        """`anthropic`, or `gemini/gemini-3.8-pro`: what follows the first slash is the model."""
        provider, _, model = text.partition("/")
        return cls(provider, model, weight)


class ModelRule(msgspec.Struct, frozen=True, kw_only=True):
    """Calls for models like `match` (a name, or a pattern with `*`), and for which `when` is true, go to `to`.

    `to` is a failover order; where its targets have weights, the first is drawn by them. `model` computes the name at the
    provider, for targets that name none.
    """

    match: str
    to: tuple[Target, ...]
    when: Callable[[Call, Operation], bool] | None = None
    model: Callable[[Call, Operation], str] | None = None

    @property
    def constant(self) -> bool:
        return self.when is None and self.model is None and all(each.weight is None for each in self.to)

    @property
    def literal(self) -> bool:
        return not any(mark in self.match for mark in "*?[")


class Way(msgspec.Struct, frozen=True):
    """How a candidate is asked for what comes to an endpoint with a query."""

    dialect: str
    url: str  # "" where the client does not speak this dialect


class Candidate(msgspec.Struct, frozen=True):
    """One way to serve a call."""

    provider: Provider
    model: str
    quirks: frozenset[str] = frozenset()  # the provider's and the model's
    ways: dict[tuple[Endpoint, str], Way] = {}  # those that were taken

    @classmethod
    def of(cls, provider: Provider, model: str) -> Candidate:
        return cls(provider, model, provider.quirks | of_model(model))


class Table:
    """The rules in their order, over providers by name."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        rules: Sequence[ModelRule] = (),
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not providers:
            raise ConfigError("llm.providers: at least one provider is needed")
        if CACHE in providers:
            raise ConfigError(
                f"llm.providers: {CACHE} is who gives kept answers; name this provider otherwise"
            )
        if not rules and len(providers) > 1:
            raise ConfigError("llm.models: with several providers, say which model goes where")
        self.providers = providers
        self.rules = tuple(rules) or (ModelRule(match="*", to=(Target(next(iter(providers))),)),)
        self._draw = draw
        # Where nothing but the model's name decides, what was found for a name is kept.
        self._by_name = all(rule.constant for rule in self.rules)
        self._found: dict[str, list[Candidate]] = {}
        for rule in self.rules:
            _check(rule, providers)

    def rule(self, call: Call, op: Operation) -> ModelRule | None:
        for rule in self.rules:
            if _matches(rule.match, op.model) and (rule.when is None or rule.when(call, op)):
                return rule
        return None

    def candidates(self, call: Call, op: Operation) -> list[Candidate]:
        """In the order in which they are to be tried; never none."""
        found = self._found.get(op.model)
        if found is None:
            found = self._candidates(call, op)
            if self._by_name and len(self._found) < REMEMBERED:
                self._found[op.model] = found
        return found

    def _candidates(self, call: Call, op: Operation) -> list[Candidate]:
        rule = self.rule(call, op)
        if rule is None:
            raise BadRequest(
                f"model: {op.model!r} is not served here; GET /v1/models lists those that are", status=404
            )
        targets = rule.to if len(rule.to) == 1 else self._ordered(rule.to)
        named = rule.model(call, op) if rule.model is not None else op.model
        return [Candidate.of(self.providers[each.provider], each.model or named) for each in targets]

    def _ordered(self, targets: tuple[Target, ...]) -> Sequence[Target]:
        """As listed; or by lot, each with the chance of its weight among those still left."""
        if all(target.weight is None for target in targets):
            return targets
        left, order = list(targets), []
        while left:
            point = self._draw() * sum(_weight(each) for each in left)
            chosen = left[-1]
            for each in left:
                point -= _weight(each)
                if point < 0:
                    chosen = each
                    break
            left.remove(chosen)
            order.append(chosen)
        return [each for each in order if _weight(each) > 0] or order


def _weight(target: Target) -> float:
    return 1.0 if target.weight is None else target.weight


def _check(rule: ModelRule, providers: Mapping[str, Provider]) -> None:
    if not rule.to:
        raise ConfigError(f"llm.models: the rule for {rule.match} goes nowhere")
    for target in rule.to:
        if target.provider not in providers:
            known = ", ".join(providers)
            raise ConfigError(
                f"llm.models: {rule.match} goes to {target.provider}, which is no provider here ({known})"
            )


def _matches(pattern: str, model: str) -> bool:
    return pattern in ("*", model) or _pattern(pattern).match(model) is not None


@lru_cache(1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
