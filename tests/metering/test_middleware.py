"""The usage middleware alone, around an app written here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.call import Call, Operation
from gateway.errors import ClientGone, Refused, StoreError, UpstreamError, UpstreamTimeout
from gateway.metering.meter import UsageMeter
from gateway.metering.record import Record
from gateway.metering.spool import Spool
from gateway.metering.usage import Usage
from gateway.middleware.access import AccessMiddleware
from gateway.middleware.usage import UsageMiddleware
from gateway.refusals import Refusal, send_refusal, unauthorized
from gateway.stores.memory import MemoryStore
from gateway.stores.sqlite import SqliteStore
from gateway.telemetry.exposition import render
from gateway.telemetry.metrics import Metrics
from gateway.types import App, Receive, Scope, Send
from tests.driver import Driver

TEXT = "All happy families are alike; each unhappy family is unhappy in its own way. " * 20
PROMPT = {"model": "claude-sonnet-4-5", "max_tokens": 500, "messages": [{"role": "user", "content": TEXT}]}


def saying(
    *parts: bytes, media: str = "application/json", status: int = 200, told: Usage | None = None
) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", media.encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        Call.of(scope).usage = told
        await send({"type": "http.response.body", "body": b""})

    return app


def frames(*events: dict[str, object]) -> list[bytes]:
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]


def streaming(*events: dict[str, object]) -> App:
    return saying(*frames(*events), media="text/event-stream; charset=utf-8")


async def metered(app: App, path: str = "/v1/messages", body: object = None, **options: object) -> Record:
    store = MemoryStore()
    middleware = UsageMiddleware(app, store=store, linger=0, **options)  # type: ignore[arg-type]
    await Driver(middleware).post(path, PROMPT if body is None else body)
    (record,) = await store.records()
    return record


ANTHROPIC = {"usage": {"input_tokens": 400, "output_tokens": 20, "cache_read_input_tokens": 3,
                       "cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}}  # fmt: skip
CHAT = {"usage": {"prompt_tokens": 400, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 100},
                  "completion_tokens_details": {"reasoning_tokens": 7}}}  # fmt: skip
RESPONSES = {"usage": {"input_tokens": 400, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 100},
                       "output_tokens_details": {"reasoning_tokens": 7}}}  # fmt: skip
GEMINI = {"usageMetadata": {"promptTokenCount": 400, "candidatesTokenCount": 13, "thoughtsTokenCount": 7,
                            "cachedContentTokenCount": 100}}  # fmt: skip
CONVERSE = {"usage": {"inputTokens": 400, "outputTokens": 20, "cacheReadInputTokens": 5}}

JSON_SHAPES = {
    "/v1/messages": (ANTHROPIC, Usage(400, 20, 3, 5, 4)),
    "/v1/chat/completions": (CHAT, Usage(300, 20, 100, reasoning=7)),
    "/v1/responses": (RESPONSES, Usage(300, 20, 100, reasoning=7)),
    "/v1beta/models/gemini-3:generateContent": (GEMINI, Usage(300, 20, 100, reasoning=7)),
    "/model/anthropic.claude-x/converse": (CONVERSE, Usage(400, 20, 5)),
}


@pytest.mark.parametrize("path", JSON_SHAPES)
async def test_it_reads_the_usage_of_a_json_answer(path: str) -> None:
    answer, expected = JSON_SHAPES[path]
    text = json.dumps(answer).encode()
    record = await metered(saying(text[:10], text[10:]), path)
    assert record.usage == expected
    assert (record.outcome, record.kind) == ("ok", "llm")


async def test_it_reads_a_stream_of_messages_whatever_its_pieces() -> None:
    whole = b"".join(frames(
        {"type": "message_start", "message": {"usage": {"input_tokens": 400, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 'so "usage": {} it said'}},
        {"type": "message_delta", "usage": {"output_tokens": 33}},
    ))  # fmt: skip
    for size in (1, 7, 64):
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        record = await metered(saying(*parts, media="text/event-stream"))
        assert record.usage == Usage(400, 33)


async def test_it_reads_the_streams_of_the_other_wires() -> None:
    chat = streaming({"choices": [{"delta": {"content": "hi"}}], "usage": None}, {"choices": [], **CHAT})
    assert (await metered(chat, "/v1/chat/completions")).usage == Usage(300, 20, 100, reasoning=7)
    responses = streaming({"type": "response.completed", "response": RESPONSES})
    assert (await metered(responses, "/v1/responses")).usage == Usage(300, 20, 100, reasoning=7)
    path = "/v1beta/models/gemini-3:streamGenerateContent"
    assert (await metered(streaming(GEMINI), path)).usage == Usage(300, 20, 100, reasoning=7)


async def test_what_the_app_itself_tells_is_believed() -> None:
    record = await metered(saying(json.dumps(ANTHROPIC).encode(), told=Usage(1, 2)))
    assert record.usage == Usage(1, 2)


async def test_a_stream_without_usage_is_estimated_and_marked() -> None:
    record = await metered(streaming({"choices": [{"delta": {"content": TEXT}}]}), "/v1/chat/completions")
    assert record.usage is not None
    assert record.usage.estimated
    assert 300 < record.usage.output < 450
    assert 300 < record.usage.input < 500


async def test_a_cut_stream_is_charged_for_what_was_written() -> None:
    record = await metered(streaming(
        {"type": "message_start", "message": {"usage": {"input_tokens": 400, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": TEXT}},
    ))  # fmt: skip
    assert record.usage is not None
    assert (record.usage.input, record.usage.estimated) == (400, True)
    assert record.usage.output > 300


async def test_a_lying_provider_is_not_believed() -> None:
    record = await metered(streaming(
        {"type": "message_start", "message": {"usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": TEXT}},
        {"type": "message_delta", "usage": {"output_tokens": 2}},
    ), body={**PROMPT, "messages": [{"role": "user", "content": TEXT * 4}]})  # fmt: skip
    assert record.usage is not None
    assert record.usage.estimated
    assert record.usage.output > 300
    assert record.usage.input > 1200


async def test_what_the_responses_api_says_twice_is_counted_once() -> None:
    done = [
        {"type": "response.output_text.done", "text": TEXT},
        {"type": "response.content_part.done", "part": {"text": TEXT}},
    ]
    usage = {"input_tokens": 400, "output_tokens": 330, "input_tokens_details": {"cached_tokens": 0}}
    record = await metered(streaming(
        {"type": "response.output_text.delta", "delta": TEXT}, *done,
        {"type": "response.completed", "response": {"output": [{"content": [{"text": TEXT}]}], "usage": usage}},
    ), "/v1/responses", {"model": "gpt-5.1", "input": TEXT})  # fmt: skip
    assert record.usage == Usage(400, 330)


async def test_a_call_is_priced_from_the_table_and_from_the_operators_own_prices() -> None:
    answer = saying(json.dumps({"usage": {"input_tokens": 1_000_000, "output_tokens": 0}}).encode())
    assert (await metered(answer)).usd == pytest.approx(6.0)  # above 200,000 tokens the model is dearer
    assert (await metered(answer, prices={"claude-*": {"input": 1.5, "output": 2}})).usd == pytest.approx(1.5)


async def test_an_unknown_model_is_charged_at_the_ceiling_and_never_nothing() -> None:
    answer = saying(json.dumps({"usage": {"input_tokens": 1_000_000, "output_tokens": 0}}).encode())
    middleware = UsageMiddleware(answer, store=MemoryStore(), ceiling={"input": 12, "output": 34})
    await Driver(middleware).post("/v1/messages", {**PROMPT, "model": "nobody-knows"})
    assert middleware.meter.prices.unknown == 1
    record = await metered(
        answer, body={**PROMPT, "model": "nobody-knows"}, ceiling={"input": 12, "output": 34}
    )
    assert (record.usd, record.priced) == (pytest.approx(12.0), False)


async def test_labels_are_names_expressions_or_callables_and_one_that_fails_is_unknown() -> None:
    labels = {
        "model": "llm.model",
        "family": 'llm.model.startsWith("claude") ? "claude" : "other"',
        "route": lambda call, op: call.path,
        "org": 'request.headers["x-org"]',
        "mail": "jwt.email",
    }
    record = await metered(saying(b"{}"), labels=labels)
    assert record.labels == {"model": "claude-sonnet-4-5", "family": "claude", "route": "/v1/messages",
                             "org": "unknown", "mail": "unknown"}  # fmt: skip


async def test_a_failed_app_still_leaves_a_record() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    store = MemoryStore()
    with pytest.raises(RuntimeError):
        await Driver(UsageMiddleware(app, store=store, linger=0)).post("/v1/messages", PROMPT)
    (record,) = await store.records()
    assert (record.outcome, record.usage) == ("error", None)


async def test_an_upstreams_error_costs_nothing() -> None:
    record = await metered(saying(b'{"type":"error"}', status=529))
    assert (record.outcome, record.usd, record.usage) == ("upstream_error", 0.0, None)


async def test_counting_tokens_leaves_no_row() -> None:
    store = MemoryStore()
    driver = Driver(UsageMiddleware(saying(b'{"input_tokens": 7}'), store=store, linger=0))
    await driver.post("/v1/messages/count_tokens", PROMPT)
    assert await store.records() == []


async def test_a_call_refused_before_it_was_metered_gets_its_record_from_the_observer() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(scope)
        call.operation = Operation("llm", "messages", model="m")
        await send_refusal(call, Refusal(429, "rate_limit_error", "too many", "ratelimit", "per key"), send)

    store = MemoryStore()
    meter = UsageMeter(store, linger=0.001)
    await Driver(AccessMiddleware(refusing, observers=[meter])).post("/v1/messages", PROMPT)
    await meter.flush()
    (record,) = await store.records()
    assert (record.outcome, record.status, record.policy, record.rule) == (
        "refused",
        429,
        "ratelimit",
        "per key",
    )
    await meter.close()


async def test_bad_credentials_leave_no_row() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(scope)
        call.operation = Operation("llm", "messages", model="m")
        await send_refusal(call, unauthorized("who are you?"), send)

    store = MemoryStore()
    meter = UsageMeter(store)
    await Driver(AccessMiddleware(refusing, observers=[meter])).post("/v1/messages", PROMPT)
    await meter.close()
    assert await store.records() == []


class Stubborn(MemoryStore):
    """Does not answer the first times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def append(self, records: Sequence[Record]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise StoreError("gone")
        await super().append(records)


async def test_records_wait_for_a_ledger_that_does_not_answer_up_to_a_bound() -> None:
    store = Stubborn(1)
    spool = Spool(store, linger=0.001, bound=3)
    for number in range(5):
        spool.put(Record(f"r{number}", "c", float(number), "llm", "messages", "/", "ok"))
    assert spool.dropped == 2
    await spool.flush()
    assert await store.records() == []
    await spool.flush()
    assert [record.id for record in await store.records()] == ["r4", "r3", "r2"]
    await spool.close()


async def test_a_record_that_the_ledger_cannot_hold_keeps_no_other_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(str(tmp_path / "gateway.db"))
    teams = {"label": lambda call, op: "\ud800" if "lost" in call.headers else "fine"}
    middleware = UsageMiddleware(saying(b"{}"), store=store, labels=teams, linger=60)
    for number in range(300):
        lost = {"lost": "yes"} if number in (0, 77, 299) else {}
        await Driver(middleware).post("/v1/messages", PROMPT, headers=lost)
    await middleware.meter.close()
    assert len(await store.records(limit=1000)) == 297
    assert middleware.meter.dropped == 3
    assert caplog.text.count("is lost, which the ledger cannot hold") == 3
    await store.close()


async def test_no_call_is_too_long_for_the_ledger() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await send_refusal(Call.of(scope), Refusal(400, "invalid_request_error", "y" * 500_000), send)

    record = await metered(refusing, body=PROMPT)
    assert record.reason == "y" * 2048
    named = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x" * 500_000}}
    record = await metered(saying(b"{}"), "/mcp", named)
    assert record.tool == "x" * 2048
    record = await metered(saying(b"{}", status=500), "/mcp", {**named, "method": "m" * 500_000})
    assert record.method == "m" * 2048


async def test_what_is_still_waiting_at_the_end_is_counted_as_lost() -> None:
    spool = Spool(Stubborn(9), linger=60)
    spool.put(Record("r", "c", 0.0, "llm", "messages", "/", "ok"))
    await spool.close()
    assert spool.dropped == 1


def test_records_are_written_in_the_next_event_loop_when_theirs_is_gone() -> None:
    written = asyncio.Event()

    class Telling(MemoryStore):
        async def append(self, records: Sequence[Record]) -> None:
            await super().append(records)
            written.set()

    store = Telling()
    spool = Spool(store, linger=0.001)

    async def begin() -> None:
        spool.put(Record("r1", "c", 1.0, "llm", "messages", "/", "ok"))

    async def later() -> None:
        spool.put(Record("r2", "c", 2.0, "llm", "messages", "/", "ok"))
        async with asyncio.timeout(5):
            await written.wait()
        await spool.close()

    gone = asyncio.new_event_loop()
    gone.run_until_complete(begin())
    gone.close()  # what ran in it is not even cancelled
    asyncio.run(later())
    assert [record.id for record in asyncio.run(store.records())] == ["r2", "r1"]


FAILURES = [
    (Refused(unauthorized("no")), "refused"),
    (UpstreamTimeout("slow"), "timeout"),
    (UpstreamError("broken"), "upstream_error"),
    (ClientGone("left"), "client_gone"),
    (ValueError("ours"), "error"),
    (asyncio.CancelledError(), "client_gone"),
]


@pytest.mark.parametrize(("error", "outcome"), FAILURES, ids=lambda value: str(value))
async def test_what_went_wrong_inside_is_the_outcome(error: BaseException, outcome: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    store = MemoryStore()
    with pytest.raises(type(error)):
        await Driver(UsageMiddleware(app, store=store, linger=0)).post("/v1/messages", PROMPT)
    (record,) = await store.records()
    assert record.outcome == outcome


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "ok"), (400, "error"), (429, "upstream_error"), (504, "timeout")]
)
async def test_the_status_says_the_outcome(status: int, outcome: str) -> None:
    assert (await metered(saying(b"{}", status=status))).outcome == outcome


async def test_a_tool_that_failed_is_a_tool_error() -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {}}}
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}}'
    record = await metered(saying(answer), "/mcp", call)
    assert (record.outcome, record.tool, record.kind) == ("tool_error", "read", "mcp")


async def test_an_encoded_answer_is_estimated_by_its_size() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"\x1f\x8b" + b"x" * 398})

    record = await metered(app)
    assert record.usage is not None
    assert (record.usage.output, record.usage.estimated) == (100, True)


async def test_a_body_that_is_no_request_is_answered_and_not_metered() -> None:
    store = MemoryStore()
    reply = await Driver(UsageMiddleware(saying(b"{}"), store=store)).post("/v1/messages", b"[1, 2")
    assert reply.status == 400
    assert await store.records() == []


async def test_what_is_no_http_passes_by() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await UsageMiddleware(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]


async def test_an_unknown_model_raises_a_metric() -> None:
    metrics = Metrics()
    app = AccessMiddleware(UsageMiddleware(saying(b"{}")), observers=[metrics])
    await Driver(app).post("/v1/messages", {**PROMPT, "model": "nobody-knows"})
    await Driver(app).post("/v1/messages", PROMPT)
    lines = [
        line
        for line in "".join(render(metrics.registry)).splitlines()
        if line.startswith("gateway_unpriced_calls_total{")
    ]
    assert lines == ['gateway_unpriced_calls_total{provider="",model="nobody-knows"} 1']
