"""Which provider gets a call, and what happens when it fails."""

from __future__ import annotations

import pytest

from gateway.call import Call, Operation
from gateway.errors import BadRequest, ConfigError
from gateway.llm.providers import Provider
from gateway.llm.retry import FAILURES, Health
from gateway.llm.routes import ModelRule, Table, Target
from gateway.net.client import Timeouts
from gateway.net.retry import Budget, pause
from tests.llm.gateways import (
    ANTHROPIC,
    EVENTS,
    MESSAGE,
    OVERLOADED,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    chunk,
    each,
    gateway,
    streaming,
)
from tests.net.upstream import Peer, answer, repeat

OK = answer(MESSAGE, headers=b"content-type: application/json\r\n")
DOWN = answer(b'{"down":1}', status=b"503 Service Unavailable", headers=b"content-type: application/json\r\n")
BOTH = [ModelRule(match="*", to=(Target("one"), Target("two")))]


def call(**headers: str) -> Call:
    return Call("c", 0.0, 0, "/v1/messages", headers=headers)


def table(*rules: ModelRule, draw: float = 0.0) -> Table:
    names = ("anthropic", "bedrock", "gemini")
    providers = {name: Provider(name=name, base_url="", dialects=("anthropic",)) for name in names}
    return Table(providers, rules, draw=lambda: draw)


def chosen(found: Table, model: str, **headers: str) -> list[tuple[str, str]]:
    op = Operation("llm", "messages", model=model)
    return [(each.provider.name, each.model) for each in found.candidates(call(**headers), op)]


def test_the_first_rule_that_matches_wins() -> None:
    rules = table(
        ModelRule(match="*", to=(Target.parse("bedrock"),), when=lambda c, op: c.headers.get("org") == "eng"),
        ModelRule(match="claude-*", to=(Target.parse("anthropic"), Target.parse("bedrock/eu.claude"))),
        ModelRule(match="fast", to=(Target.parse("gemini/gemini-3.8-flash"),)),
        ModelRule(match="models/a/*", to=(Target.parse("gemini/a/b/c"),)),
    )
    assert chosen(rules, "claude-x", org="eng") == [("bedrock", "claude-x")]
    assert chosen(rules, "claude-x") == [("anthropic", "claude-x"), ("bedrock", "eu.claude")]
    assert chosen(rules, "fast") == [("gemini", "gemini-3.8-flash")]
    assert chosen(rules, "models/a/x") == [("gemini", "a/b/c")]
    with pytest.raises(BadRequest, match="not served here") as caught:
        chosen(rules, "gpt-x")
    assert caught.value.status == 404


def test_an_expression_names_the_model_where_the_target_does_not() -> None:
    rules = table(ModelRule(match="*", to=(Target("anthropic"), Target("gemini", "g")),
                            model=lambda c, op: op.model.removesuffix("-latest")))  # fmt: skip
    assert chosen(rules, "m-latest") == [("anthropic", "m"), ("gemini", "g")]


@pytest.mark.parametrize(("draw", "first"), [(0.0, "anthropic"), (0.74, "anthropic"), (0.76, "bedrock")])
def test_weights_draw_the_first_and_keep_the_others_in_reserve(draw: float, first: str) -> None:
    rules = table(
        ModelRule(match="*", to=(Target("anthropic", weight=3), Target("bedrock", weight=1))), draw=draw
    )
    got = chosen(rules, "m")
    assert got[0][0] == first
    assert len(got) == 2


def test_a_weight_of_zero_is_never_asked() -> None:
    rules = table(ModelRule(match="*", to=(Target("anthropic", weight=0), Target("bedrock", weight=1))))
    assert chosen(rules, "m") == [("bedrock", "m")]


def test_rules_that_lead_nowhere_are_refused_when_they_are_made() -> None:
    with pytest.raises(ConfigError, match="gemni"):
        table(ModelRule(match="*", to=(Target("gemni"),)))
    with pytest.raises(ConfigError, match="which model"):
        table()
    with pytest.raises(ConfigError, match="nowhere"):
        table(ModelRule(match="*", to=()))
    with pytest.raises(ConfigError, match="at least one"):
        Table({})


async def test_a_single_failure_is_asked_again_after_a_moment() -> None:
    async with gateway(each(DOWN, OK)) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.body) == (200, MESSAGE)
        assert gw.call.attempts == 2
        assert len(gw.slept) == 1
        assert 0 < gw.slept[0] <= 0.2
        assert [phase.detail for phase in gw.call.phases] == ["one 503", "one 200"]


async def test_a_short_retry_after_is_waited_for_and_a_long_one_is_the_clients() -> None:
    def limited(seconds: bytes) -> bytes:
        return answer(b"{}", status=b"429 Too Many Requests", headers=b"retry-after: " + seconds + b"\r\n")

    async with gateway(each(limited(b"1"), OK)) as gw:
        assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).status == 200
        assert gw.slept == [1.0]
    async with gateway(each(limited(b"60"), OK)) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.headers["retry-after"], gw.slept) == (429, "60", [])


async def test_an_upstream_that_forbids_it_is_not_asked_again() -> None:
    no = answer(b"{}", status=b"500 Oops", headers=b"x-should-retry: false\r\n")
    async with gateway(each(no, OK)) as gw:
        assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).status == 500


@pytest.mark.parametrize("status", [b"400 Bad", b"403 No", b"404 Not", b"413 Big", b"422 Odd"])
async def test_the_callers_own_mistakes_are_not_asked_again(status: bytes) -> None:
    async with gateway(each(answer(b"{}", status=status), OK), repeat(OK), models=BOTH) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.status == int(status[:3])
        assert gw.call.attempts == 1


async def test_retries_end_and_the_last_answer_is_given() -> None:
    async with gateway(repeat(DOWN), retries=2) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.body) == (503, b'{"down":1}')
        assert gw.call.attempts == 3


async def test_a_gateway_in_trouble_makes_no_more_than_its_share_of_retries() -> None:
    async with gateway(repeat(DOWN), retries=1) as gw:
        for _ in range(50):
            await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert len(gw.ups[0].requests) <= 50 + 10 + 6


FAILING = {
    "503": repeat(DOWN),
    "429": repeat(answer(b"{}", status=b"429 Too Many Requests")),
    "529": repeat(answer(b"{}", status=b"529 Overloaded")),
    "401": repeat(answer(b"{}", status=b"401 Unauthorized")),
    "a redirect": repeat(answer(b"", status=b"307 X", headers=b"location: /\r\n")),
    "garbage": repeat(b"SSH-2.0-x\r\n\r\n"),
    "a closed connection": each(b""),
    "an overload in the stream": streaming(OVERLOADED),
    "an overload after the start": streaming(EVENTS[0], OVERLOADED),
    "a cut before any content": streaming(EVENTS[0], end=False),
}


@pytest.mark.parametrize("name", FAILING)
async def test_the_next_provider_saves_the_call(name: str) -> None:
    script = FAILING[name]
    if name == "a closed connection":

        async def script(peer: Peer) -> None:
            await peer.request()

    async with gateway(script, streaming(*EVENTS), models=BOTH) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert (reply.status, reply.body) == (200, "".join(EVENTS).encode())
        assert (gw.call.provider, gw.call.attempts, gw.slept) == ("two", 2, [])
        assert gw.call.usage is not None
        assert not gw.call.usage.estimated
        assert b"\r\nx-api-key: sk-two\r\n" in gw.ups[1].requests[0]
        assert b"sk-one" not in gw.ups[1].requests[0]


async def test_a_refused_connection_and_a_hang_go_on_to_the_next() -> None:
    async def hang(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    short = Timeouts(first_byte=0.05)
    async with gateway(hang, repeat(OK), models=BOTH, timeouts=short) as gw:
        assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).body == MESSAGE


async def test_after_content_has_gone_out_nothing_is_asked_again() -> None:
    async with gateway(streaming(*EVENTS[:3], OVERLOADED), streaming(*EVENTS), models=BOTH) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert reply.body == "".join([*EVENTS[:3], OVERLOADED]).encode()
        assert gw.call.attempts == 1
        assert gw.call.refusal is not None


async def test_the_last_providers_stream_error_is_passed_as_it_is() -> None:
    async with gateway(streaming(OVERLOADED), streaming(OVERLOADED), models=BOTH, retries=0) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert (reply.status, reply.body) == (200, OVERLOADED.encode())


async def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again_later() -> None:
    now = [0.0]
    async with gateway(repeat(DOWN), repeat(OK), models=BOTH, clock=lambda: now[0]) as gw:
        for _ in range(FAILURES + 5):
            assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).status == 200
        assert len(gw.ups[0].requests) == FAILURES
        now[0] = 16.0
        await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert len(gw.ups[0].requests) == FAILURES + 1
        await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert len(gw.ups[0].requests) == FAILURES + 1


async def test_when_all_are_left_alone_the_call_is_tried_all_the_same() -> None:
    async with gateway(repeat(DOWN), repeat(DOWN), models=BOTH, retries=0) as gw:
        for _ in range(FAILURES + 2):
            assert (await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)).status == 503


async def test_an_answer_that_takes_long_to_begin_does_not_hold_back_the_first_bytes_of_a_lone_provider() -> (
    None
):
    import asyncio

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]))
        await asyncio.wait_for(seen.wait(), 5)
        await peer.write(chunk("".join(EVENTS[1:])) + b"0\r\n\r\n")
        await peer.gone()

    seen = asyncio.Event()
    async with gateway(script) as gw:
        reply = await gw.drive.post(
            "/v1/messages", STREAM, headers=ANTHROPIC, leave_after=lambda r: bool(r.chunks) and seen.set()
        )
        assert reply.complete


def test_pauses_grow_are_jittered_and_honour_the_upstream() -> None:
    assert [pause(n, None, lambda: 1.0) for n in range(3)] == [0.1, 0.2, 0.4]
    assert pause(0, None, lambda: 0.0) == 0.05
    assert pause(0, 1.5, lambda: 0.0) == 1.5
    assert pause(0, 2.5, lambda: 0.0) is None


def test_a_budget_gives_one_retry_for_ten_calls() -> None:
    budget = Budget()
    assert sum(budget.take() for _ in range(100)) == 10
    for _ in range(25):
        budget.called()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_being_left_alone_lasts_longer_each_time() -> None:
    now = [0.0]
    health = Health(lambda: now[0])
    for _ in range(FAILURES):
        health.failed("a")
    assert health.ejected("a")
    now[0] = 15.0
    assert not health.ejected("a")
    health.failed("a")
    now[0] = 44.0
    assert health.ejected("a")
    health.well("a")
    assert not health.ejected("a")
