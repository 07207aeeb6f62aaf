"""`gateway check --live`: does what the file names answer, and does it accept us?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.call import Call
from gateway.config.build_llm import provider_from
from gateway.config.build_mcp import bounded, upstream_from
from gateway.config.load import Loaded
from gateway.config.resources import Resources
from gateway.errors import GatewayError, UpstreamError
from gateway.llm.models import listed
from gateway.mcp import status as statuses
from gateway.mcp.catalog import Catalog
from gateway.types import Scope

SECONDS = 15.0
Section = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    what: str
    good: bool
    said: str


async def answers(loaded: Loaded) -> list[Answer]:
    """One for each provider, JWKS URL, MCP server and the store, all asked at once."""
    resources = Resources()
    resources.use(loaded.data)
    try:
        return list(
            await asyncio.gather(*(_asked(what, trial) for what, trial in _trials(loaded, resources)))
        )
    finally:
        await resources.close()


async def _asked(what: str, trial: Awaitable[str]) -> Answer:
    try:
        return Answer(what, True, await asyncio.wait_for(trial, SECONDS))
    except TimeoutError:
        return Answer(what, False, f"no answer within {SECONDS:g} s")
    except (GatewayError, OSError) as error:
        return Answer(what, False, str(error))


def _trials(loaded: Loaded, resources: Resources) -> Iterator[tuple[str, Awaitable[str]]]:
    file, folder = loaded.data, loaded.folder
    yield f"store {file.get('store', 'memory:').split('?')[0]}", _store(resources)
    for route in file["routes"]:
        for name, section in (route.get("llm") or {}).get("providers", {}).items():
            yield f"provider {name}", _provider(name, section, resources)
        for name, section in (route.get("mcp") or {}).get("servers", {}).items():
            yield f"server {name}", _server(name, section, folder, resources)
    for policies in (file.get("policies") or {}, *(route.get("policies") or {} for route in file["routes"])):
        for issuer in (policies.get("auth") or {}).get("jwt", ()):
            if "secret" not in issuer and "file" not in (issuer.get("jwks") or {}):
                yield f"keys of {issuer['issuer']}", _keys(issuer)


async def _store(resources: Resources) -> str:
    await resources.store.list("key", limit=1)
    return "answers"


async def _provider(name: str, section: Section, resources: Resources) -> str:
    models = await listed(provider_from(name, section), resources.client)
    return f"accepts the credential and lists {len(models)} models"


async def _server(name: str, section: Section, folder: Path, resources: Resources) -> str:
    server = bounded(upstream_from(name, section, folder, resources), section)
    try:
        [status] = await statuses.ask(Catalog([server], deadline=SECONDS), _nobody())
    finally:
        await server.upstream.close()
    if status.error:
        raise UpstreamError(status.error)
    return f"speaks {status.version}, {status.tools} tools" + statuses.remarks(status)


async def _keys(section: Section) -> str:
    from gateway.identity.issuers import RemoteKeys

    url = (section.get("jwks") or {}).get("url", "")
    keys = RemoteKeys(url=url, issuer="" if url else section["issuer"])
    return f"{await keys.load()} keys"


def _nobody() -> Call:
    scope: Scope = {"type": "http", "method": "POST", "path": "/" + secrets.token_hex(4), "headers": []}
    return Call.new(scope)
