"""LLMApp: every model API's endpoints in front of any provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from gateway import operations, refusals
from gateway.call import Call
from gateway.endpoints import Endpoint
from gateway.errors import BadRequest, ClientGone, Refused, UpstreamError, UpstreamTimeout
from gateway.limits import estimate
from gateway.llm import headers as passing
from gateway.llm import reading
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.inquiry import Inquiry
from gateway.llm.models import Catalog
from gateway.llm.presence import GRACE, Presence
from gateway.llm.providers import Provider
from gateway.llm.pulse import SILENCE
from gateway.llm.relay import Relay
from gateway.llm.routes import Candidate, ModelRule, Table
from gateway.llm.upstream import Answer, Upstream
from gateway.llm.wires import wire
from gateway.net.client import Client
from gateway.net.late import Late
from gateway.net.pool import Pool
from gateway.refusals import Refusal
from gateway.types import Receive, Scope, Send

if TYPE_CHECKING:
    from gateway.llm.cache import Cache
    from gateway.llm.dialects.gemini.recall import Recall

log = logging.getLogger("gateway")
_LISTS = ("models", "model")
_UNCOUNTED = ("openai-chat", "bedrock-converse")  # these wires have no such request
_NO_SUCH = (404, 405, 501)
_NO_COUNTER = "bedrock"  # says 400 for models whose tokens it cannot count


class LLMApp:
    """An ASGI app that serves models.

        app = LLMApp(providers={"anthropic": Provider(name="anthropic", base_url="https://api.anthropic.com",
                                                      dialects=("anthropic",), signer=KeySigner("x-api-key", key))})

    `models` are the rules that say which provider serves which model, needed where there are several; `client` is the
    upstream client (`Pool()`); a translated stream gets a ping after `silence`; `cache` gives answers again.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        models: Sequence[ModelRule] = (),
        client: Client | None = None,
        upstream: Upstream | None = None,
        silence: float = SILENCE,
        cache: Cache | None = None,
    ) -> None:
        client = client or Pool()
        self.table = Table(providers, models)
        self.catalog = Catalog(self.table, client)
        self._upstream = upstream or Upstream(client)
        self._silence = silence
        self._cache = cache
        self._late = Late(GRACE)
        self._recall: Recall | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, method = Call.of(scope), scope["method"]
        endpoint = call.endpoint
        if endpoint is None or method != "POST" or endpoint.method in _LISTS:
            return await self._without_model(call, method, send)
        try:
            op = call.operation or await operations.of(call, scope, receive)
        except BadRequest as error:
            return await refusals.send_refusal(call, _refusal(error), send)
        query = passing.query(scope["query_string"]) if scope.get("query_string") else ""
        head, changing = call.shown(scope["headers"])
        inquiry = Inquiry(call, op, endpoint, call.body or b"", head, changing, query, self._recalled)
        relay = Relay(inquiry, call, send, self._silence)
        task = asyncio.current_task()
        assert task is not None
        try:
            with Presence(call, receive, self._late, task) as presence:
                await self._relay(inquiry, relay)
            if presence.ended:
                await presence.over()
        except (ClientGone, asyncio.CancelledError):
            relay.abandoned = True
            raise
        except (UpstreamError, Refused, BadRequest) as error:
            relay.abandoned = call.stopped is not None
            refusal = _refusal(error)
            if not await relay.refuse(refusal):
                raise  # only a broken connection tells the client
            if refusal.status >= 500:  # the client heard it in plain words; all of it is for the log
                log.error("%s %s: %s", call.id, call.path, error)
        finally:
            relay.settle()
        if self._cache is not None and relay.key:
            await self._cache.keep(relay.key, relay, call)

    def _without_model(self, call: Call, method: str, send: Send) -> Awaitable[None]:
        """The answer to a request that asks none."""
        endpoint = call.endpoint
        if method == "HEAD" or call.path.endswith("/api/hello"):
            return _hello(method, send)
        if endpoint is None:
            return refusals.send_refusal(call, refusals.invalid(_unknown(call.path), status=404), send)
        wanted = "GET" if endpoint.method in _LISTS else "POST"
        if method != wanted:
            return refusals.send_refusal(call, _wrong_method(method, wanted), send)
        return self._models(call, endpoint, send)

    def _recalled(self) -> Recall:
        """Made with the first request that needs it: it brings Gemini's whole dialect along."""
        if self._recall is None:
            from gateway.llm.dialects.gemini.recall import Recall

            self._recall = Recall()
        return self._recall

    async def _relay(self, inquiry: Inquiry, relay: Relay) -> None:
        candidates = self.table.candidates(inquiry.call, inquiry.op)
        if inquiry.counts:
            return await self._counted(inquiry, candidates, relay)
        if self._cache is not None and await self._cache.answered(inquiry, candidates, relay):
            return
        if inquiry.op.stream and not any(inquiry.passes(each) for each in candidates):
            relay.expect()
        again = True
        while True:
            try:
                answer = await self._upstream.open(inquiry, candidates)
                try:
                    return await _told(inquiry, answer, relay)
                finally:
                    answer.response.close()
            except AnswerFailed as error:
                if not (again and error.retry):
                    raise
                again = False

    async def _counted(self, inquiry: Inquiry, candidates: Sequence[Candidate], relay: Relay) -> None:
        """The provider's own count; where it has none, an estimate that says so."""
        able = [each for each in candidates if inquiry.dialect(each) not in _UNCOUNTED]
        if able:
            answer = await self._upstream.open(inquiry, able)
            try:
                status, dialect = answer.response.status, answer.prepared.dialect
                if status not in _NO_SUCH and (status != 400 or dialect != _NO_COUNTER):
                    return await _told(inquiry, answer, relay)
            finally:
                answer.response.close()
        tokens = estimate.prompt(inquiry.body)
        await relay.json(inquiry.inbound.write_count(tokens), headers=[(b"x-gateway-estimated", b"true")])

    async def _models(self, call: Call, endpoint: Endpoint, send: Send) -> None:
        models = await self.catalog.of(call)
        if endpoint.method == "model":
            models = [model for model in models if model.id == endpoint.model]
            if not models:
                refusal = refusals.invalid(f"model: {endpoint.model} is not served here", status=404)
                return await refusals.send_refusal(call, refusal, send)
        shown = wire(endpoint.dialect).write_models(models)
        if endpoint.method == "model":
            shown = (shown.get("data") or shown["models"])[0]
        await _json(send, shown)


def _told(inquiry: Inquiry, answer: Answer, relay: Relay) -> Awaitable[None]:
    """Give the client this answer, in the way that fits it."""
    if answer.prepared.reply is None and not answer.credential_refused:
        return relay.untouched(answer)
    return _retold(inquiry, answer, relay)


async def _retold(inquiry: Inquiry, answer: Answer, relay: Relay) -> None:
    prepared = answer.prepared
    if answer.credential_refused or answer.status >= 400:
        await relay.refuse(await reading.refusal(answer))
    elif inquiry.counts:
        body = await answer.response.read()
        with reading.trusting():
            counted = prepared.wire.read_count(orjson.loads(body))
        await relay.json(inquiry.inbound.write_count(counted))
    elif inquiry.op.stream:
        await relay.events(answer)
    else:
        await relay.whole(answer)


def _refusal(error: UpstreamError | Refused | BadRequest) -> Refusal:
    if isinstance(error, Refused):
        return error.refusal
    if isinstance(error, BadRequest):
        return refusals.invalid(str(error), status=error.status)
    if isinstance(error, AnswerFailed):
        info = error.info
        return Refusal(info.status, info.type, info.message, retry_after=info.retry_after)
    if isinstance(error, UpstreamTimeout):
        return Refusal(504, "timeout_error", error.plain)
    return Refusal(502, "api_error", error.plain)


def _unknown(path: str) -> str:
    if path.count("/v1") > 1:
        return f"no such endpoint: {path}. The base URL must not end in /v1; remove it there"
    return f"no such endpoint: {path}"


def _wrong_method(method: str, wanted: str) -> Refusal:
    text = f"{method} is not allowed here; use {wanted}"
    return Refusal(405, "invalid_request_error", text, headers=(("allow", wanted),))


async def _hello(method: str, send: Send) -> None:
    """Clients ask whether anybody is there before they have a credential."""
    body = b"" if method == "HEAD" else b'{"status":"ok"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _json(send: Send, value: Any) -> None:
    body = orjson.dumps(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
