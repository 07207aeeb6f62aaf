"""Which models there are: those that the rules name, and of those that a pattern covers the ones the provider lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import orjson

from gateway.call import Call, Operation
from gateway.errors import UpstreamError
from gateway.llm.dialects.protocol import Json, Model
from gateway.llm.providers import Provider
from gateway.llm.routes import ModelRule, Table
from gateway.net.client import Client, Timeouts

FRESH = 600.0  # seconds for which a provider's list is believed
PATIENCE = Timeouts(connect=1.0, first_byte=2.0, idle=1.0, total=2.5)  # the client itself gives up after 3 s
_PATHS = {"anthropic": "/v1/models?limit=1000", "openai-chat": "/models", "openai-responses": "/models",
          "gemini": "/models?pageSize=1000"}  # fmt: skip


class Catalog:
    """The models of a table. A provider's list is asked for when it is needed, and an old one serves when it fails."""

    def __init__(self, table: Table, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._client = client
        self._clock = clock
        self._lists: dict[str, tuple[float, list[Model]]] = {}

    async def of(self, call: Call) -> list[Model]:
        """What this caller may use, each once, in the order of the rules."""
        found: dict[str, Model] = {}
        for rule in self._table.rules:
            for model in await self._served(rule):
                if model.id not in found and self._allowed(call, rule, model.id):
                    found[model.id] = model
        return list(found.values())

    def _allowed(self, call: Call, rule: ModelRule, model: str) -> bool:
        op = Operation("llm", "messages", model=model)
        if self._table.rule(call, op) is not rule:  # an earlier rule has it, or this one is for other callers
            return False
        authz = call.policies.authz if call.policies is not None else None
        if authz is None:
            return True
        told = len(call.verdicts)
        refusal = authz.decide(call, op)
        del call.verdicts[told:]  # what a list leaves out was not asked for, and is no decision to log
        return refusal is None

    async def _served(self, rule: ModelRule) -> Iterable[Model]:
        if rule.literal:
            return (Model(rule.match, owner=rule.to[0].provider),)
        names = {target.provider for target in rule.to if not target.model}
        lists = await asyncio.gather(*(self._list(self._table.providers[name]) for name in sorted(names)))
        return (model for models in lists for model in models if fnmatchcase(model.id, rule.match))

    async def _list(self, provider: Provider) -> list[Model]:
        at, known = self._lists.get(provider.name, (0.0, []))
        if known and self._clock() - at < FRESH:
            return known
        try:
            models = await listed(provider, self._client)
        except UpstreamError:
            return known
        self._lists[provider.name] = (self._clock(), models)
        return models


async def listed(provider: Provider, client: Client) -> list[Model]:
    """What the provider lists; nothing where it has no list, or nobody's credential to ask with. Raises UpstreamError."""
    dialect = provider.dialects[0]
    path = _PATHS.get(dialect)
    if path is None or provider.passthrough:
        return []
    bare, _, query = path.partition("?")
    url = provider.url(bare, query)
    version = [(b"anthropic-version", b"2023-06-01")] if dialect == "anthropic" else []
    made = provider.signer.sign("GET", url, [*version, *provider.headers], b"")
    headers = made if isinstance(made, list) else await made
    response = await (provider.client or client).send("GET", url, headers=headers, timeouts=PATIENCE)
    try:
        body = await response.read()
    finally:
        response.close()
    if response.status != 200:
        raise UpstreamError(f"{url} answers {response.status}")
    return _read(body, provider.name)


def _read(body: bytes, owner: str) -> list[Model]:
    """Any provider's list: they differ in the names of the members."""
    try:
        found: Any = orjson.loads(body)
        entries = found.get("data") or found.get("models") or []
        return [_model(each, owner) for each in entries]
    except (orjson.JSONDecodeError, AttributeError, KeyError):
        return []


def _model(entry: Json, owner: str) -> Model:
    created = entry.get("created")
    return Model(
        id=entry["id"] if "id" in entry else entry["name"].removeprefix("models/"),
        name=entry.get("display_name") or entry.get("displayName") or "",
        created=created if isinstance(created, int) else 0,
        owner=owner,
        input_limit=entry.get("inputTokenLimit") or 0,
        output_limit=entry.get("outputTokenLimit") or 0,
    )
