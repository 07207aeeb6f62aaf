"""Ask providers until one answers: retries before the first byte, failover to the next in the list."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.call import Call
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.llm.dialects import failures
from gateway.llm.inquiry import Inquiry, Prepared
from gateway.llm.opening import PLAIN, Opening, opening
from gateway.llm.retry import ELSEWHERE, RETRYABLE, Health
from gateway.llm.routes import Candidate
from gateway.net.client import Client, Lines, Response, header
from gateway.net.retry import Budget, pause

log = logging.getLogger("gateway")


class Answer(msgspec.Struct, gc=False):
    """A provider's answer whose head, and as much as had to be seen to trust it, has arrived."""

    prepared: Prepared
    response: Response
    status: int  # a stream that begins with an error failed with that error's, whatever its head says
    opening: Opening = PLAIN

    @property
    def credential_refused(self) -> bool:
        """The provider does not accept the credential that the operator configured."""
        return self.response.status == 401 and not self.prepared.candidate.provider.passthrough

    @property
    def retry_after(self) -> float | None:
        early = self.opening.error
        if early is not None:
            return early.retry_after
        return failures.retry_after(text_headers(self.response))

    @property
    def may_retry(self) -> bool:
        return header(self.response.headers, b"x-should-retry") != b"false"


def text_headers(response: Response) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}


class Upstream:
    """The way to all providers of an LLMApp, with what was learnt of them."""

    def __init__(
        self,
        client: Client,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        health: Health | None = None,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._draw = draw
        self._health = health or Health()
        self._budget = Budget()

    def open(self, inquiry: Inquiry, candidates: Sequence[Candidate]) -> Awaitable[Answer]:
        """The answer to give to the client, good or bad; raises UpstreamError where there is none."""
        self._budget.called()
        if len(candidates) == 1:
            return self._persist(inquiry, candidates[0], settle=False)
        return self._first(inquiry, candidates)

    async def _first(self, inquiry: Inquiry, candidates: Sequence[Candidate]) -> Answer:
        healthy = [each for each in candidates if not self._health.ejected(each.provider.name)]
        *others, last = healthy or candidates
        for candidate in others:
            try:
                answer = await self._ask(inquiry, candidate, settle=True)
            except UpstreamError as error:
                log.warning("%s failed, going on: %s", candidate.provider.name, error)
                continue
            if answer.status not in ELSEWHERE and not answer.credential_refused:
                return answer
            log.warning("%s answered %d, going on", candidate.provider.name, answer.status)
            _alert(inquiry.call, answer)
            answer.response.close()
        return await self._persist(inquiry, last, settle=bool(others))

    async def _persist(self, inquiry: Inquiry, candidate: Candidate, *, settle: bool) -> Answer:
        """The last candidate: here a failure is worth another attempt."""
        attempt = 0
        while True:
            try:
                answer = await self._ask(inquiry, candidate, settle=settle)
            except UpstreamError as error:
                wait = self._wait_after(error, candidate, attempt)
                if wait is None:
                    raise
            else:
                if answer.status < 400:
                    return answer
                wait = self._wait_after(answer, candidate, attempt)
                if wait is None:
                    _alert(inquiry.call, answer)
                    return answer
                answer.response.close()
            await self._sleep(wait)
            attempt += 1

    def _wait_after(
        self, outcome: Answer | UpstreamError, candidate: Candidate, attempt: int
    ) -> float | None:
        """Seconds until the next attempt; None: this is how it stays."""
        if isinstance(outcome, UpstreamTimeout):  # whoever waited that long does not want to do so again
            return None
        retry_after = None
        if isinstance(outcome, Answer):
            retry_after = outcome.retry_after if outcome.status in ELSEWHERE else None
            again = outcome.status in RETRYABLE or (outcome.status == 429 and retry_after is not None)
            if (not again and not outcome.opening.retry) or not outcome.may_retry:
                return None
        wait = pause(attempt, retry_after, self._draw) if attempt < candidate.provider.retries else None
        return wait if wait is not None and self._budget.take() else None

    async def _ask(self, inquiry: Inquiry, candidate: Candidate, *, settle: bool) -> Answer:
        call, provider = inquiry.call, candidate.provider
        prepared = inquiry.prepare(candidate)
        if type(prepared.headers) is not Lines:
            signed = provider.signer.sign("POST", prepared.url, prepared.headers, prepared.body)
            prepared.headers = signed if isinstance(signed, list) else await signed
        call.provider, call.upstream_model = provider.name, candidate.model
        call.attempts += 1
        started = time.perf_counter_ns()
        answer: Answer | None = None
        inquiry.asked = True
        try:
            response = await (provider.client or self._client).send(
                "POST", prepared.url, headers=prepared.headers, body=prepared.body, timeouts=provider.timeouts
            )
            if response.status < 300 and not (inquiry.op.stream and (settle or prepared.reply is not None)):
                answer = Answer(prepared, response, response.status)
            else:
                answer = await _opened(inquiry, prepared, response)
        except UpstreamError:
            inquiry.asked = False
            self._health.failed(provider.name)
            raise
        finally:
            call.answered = time.perf_counter_ns()
            call.upstream_ns += call.answered - started
            if call.timed:
                outcome = "failed" if answer is None else answer.response.status
                call.took("attempt", started, f"{provider.name} {outcome}")
        inquiry.asked = answer.status < 400
        if answer.status in RETRYABLE:
            self._health.failed(provider.name)
        else:
            self._health.well(provider.name)
        return answer


def _alert(call: Call, answer: Answer) -> None:
    """Whoever operates the gateway must hear that its credential is no longer good."""
    if answer.credential_refused:
        name = answer.prepared.candidate.provider.name
        call.disowned.append(name)
        log.error("alert: provider %s does not accept the gateway's credential (401)", name)


async def _opened(inquiry: Inquiry, prepared: Prepared, response: Response) -> Answer:
    if 300 <= response.status < 400:
        response.close()
        raise UpstreamError(f"the upstream redirects ({response.status}); redirects are not followed")
    if response.status >= 400:
        return Answer(prepared, response, response.status)
    try:
        begun = await opening(inquiry.call, prepared, response)
        return Answer(prepared, response, begun.error.status if begun.error else response.status, begun)
    except BaseException:
        response.close()
        raise
