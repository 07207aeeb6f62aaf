"""From an `llm` route of the file to its LLMApp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gateway.call import Call, Operation
from gateway.config.resources import Resources
from gateway.config.together import together
from gateway.errors import ConfigError
from gateway.llm.app import LLMApp
from gateway.llm.providers import Provider
from gateway.llm.routes import ModelRule, Target
from gateway.llm.rows import provider
from gateway.middleware.expressions import callable_of
from gateway.net.client import Timeouts
from gateway.net.pool import Pool
from gateway.net.proxies import Proxies, Proxy
from gateway.policy.errors import CelError

Section = Mapping[str, Any]


def llm(section: Section, resources: Resources, *, attempt: float | None = None) -> LLMApp:
    """`attempt` bounds every provider that says nothing of its own."""
    total = {} if attempt is None else {"total": attempt}
    given = section["providers"]
    made = together(partial(provider_from, name, _within(each, total)) for name, each in given.items())
    return LLMApp(
        providers=dict(zip(given, made, strict=True)),
        models=[_rule(each) for each in section.get("models", ())],
        client=resources.client,
        cache=resources.cache(section["cache"]) if "cache" in section else None,
    )


def _within(section: Section, bounds: Section) -> Section:
    return {**section, "timeout": {**bounds, **section.get("timeout", {})}} if bounds else section


def provider_from(name: str, section: Section) -> Provider:
    given = {key: value for key, value in section.items() if key not in ("type", "timeout", "proxy")}
    if "timeout" in section:
        given["timeouts"] = Timeouts(**section["timeout"])
    if "proxy" in section:
        given["client"] = _through(section["proxy"])
    return provider(name, kind=section.get("type", ""), **given)


def _through(url: str) -> Pool:
    try:
        proxy = Proxy.parse(url)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Pool(proxies=Proxies({"http": proxy, "https": proxy}))


def _rule(section: Section) -> ModelRule:
    to = section["to"]
    return ModelRule(
        match=section["match"],
        to=tuple(_target(each) for each in (to if isinstance(to, list) else [to])),
        when=_condition(section["when"]) if "when" in section else None,
        model=callable_of(section["model"]) if "model" in section else None,
    )


def _target(section: str | Section) -> Target:
    if isinstance(section, str):
        return Target.parse(section)
    return Target.parse(section["provider"], weight=section.get("weight"))


def _condition(text: str) -> Callable[[Call, Operation], bool]:
    """A row whose condition has no answer for a call (it lacks the header that is asked for) is not for that call."""
    evaluate = callable_of(text)

    def holds(call: Call, op: Operation) -> bool:
        try:
            return evaluate(call, op) is True
        except CelError:
            return False

    return holds
