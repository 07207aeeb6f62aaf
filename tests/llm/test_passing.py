"""The same dialect on both sides: bytes, headers and errors go through, and what must not does not."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable

import pytest

from gateway.call import Call
from gateway.known import LONGEST
from gateway.llm.inquiry import WAYS
from gateway.llm.providers import Provider
from gateway.llm.routes import ModelRule, Target
from gateway.metering.usage import Usage
from gateway.middleware.access import AccessMiddleware
from gateway.refusals import Refusal
from gateway.types import Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.llm.gateways import (
    ANTHROPIC,
    CHAT,
    COMPLETION,
    EVENTS,
    MESSAGE,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    chunk,
    each,
    gateway,
    sse,
    streaming,
)
from tests.net.upstream import Peer, answer, repeat

JSON = b"content-type: application/json\r\n"
ODD = b' {"messages" : [ {"content":"\\u0068i","role":"user"} ],"new_field":1.50, "model":"claude-x","max_tokens":10 }\n'


async def test_request_and_answer_pass_byte_for_byte() -> None:
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        reply = await gw.drive.post("/v1/messages?beta=true", ODD, headers=ANTHROPIC)
        assert (reply.status, reply.body, reply.complete) == (200, MESSAGE, True)
        head, _, body = gw.ups[0].requests[0].partition(b"\r\n\r\n")
        assert body == ODD
        assert head.startswith(b"POST /v1/messages?beta=true HTTP/1.1\r\n")
        assert gw.call.usage == Usage(input=7, output=3)
        assert (gw.call.provider, gw.call.upstream_model, gw.call.attempts) == ("one", "claude-x", 1)
        assert gw.call.first_byte
        assert gw.call.upstream_ns


async def test_the_callers_credentials_stay_here_and_ours_go_up() -> None:
    secrets = {
        "authorization": "Bearer sk-caller",
        "x-api-key": "sk-caller",
        "x-goog-api-key": "sk-caller",
        "cookie": "a=sk-caller",
        "proxy-authorization": "Basic sk-caller",
        "x-gateway-key": "sk-caller",
        "x-corp-token": "sk-caller",
        "x-amz-security-token": "sk-caller",
    }
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        await gw.drive.post("/v1/messages?key=sk-caller&beta=true", REQUEST, headers=secrets)
        request = gw.ups[0].requests[0]
        assert b"sk-caller" not in request
        assert b"\r\nx-api-key: sk-one\r\n" in request
        assert request.startswith(b"POST /v1/messages?beta=true ")


async def test_whoever_invents_queries_does_not_fill_the_memory() -> None:
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        for number in (*range(WAYS), "x" * LONGEST, "late"):
            await gw.drive.post(f"/v1/messages?n={number}", REQUEST, headers=ANTHROPIC)
            assert gw.ups[0].requests[-1].startswith(f"POST /v1/messages?n={number} ".encode())
        assert gw.call.operation is not None
        (candidate,) = gw.app.table.candidates(gw.call, gw.call.operation)
        assert [query for _, query in candidate.ways] == [f"n={number}" for number in range(WAYS)]


async def test_headers_of_one_hop_end_here_and_all_others_go_on() -> None:
    sent = {
        **ANTHROPIC,
        "anthropic-beta": "a,b",
        "anthropic-new-thing": "1",
        "x-claude-code-session-id": "s1",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
        "te": "trailers",
        "accept-encoding": "gzip, br",
        "x-forwarded-for": "10.0.0.1",
        "idempotency-key": "k1",
    }
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        await gw.drive.post("/v1/messages", REQUEST, headers=sent)
        head = gw.ups[0].requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
        names = [line.partition(":")[0] for line in head[1:]]
        assert sorted(names) == sorted(set(names))
        for line in ("anthropic-beta: a,b", "anthropic-new-thing: 1", "x-claude-code-session-id: s1",
                     "idempotency-key: k1", "accept-encoding: identity"):  # fmt: skip
            assert line in head
        for name in ("x-hop", "te", "x-forwarded-for", "connection"):
            assert name not in names


@pytest.mark.parametrize(("connection", "kept"), [("keep-alive", True), ("x-request-id", False)])
async def test_what_names_a_single_request_goes_up_with_it(connection: str, kept: bool) -> None:
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        for number in range(3):
            sent = {
                **ANTHROPIC,
                "x-request-id": f"r{number}",
                "traceparent": "00-1",
                "connection": connection,
            }
            await gw.drive.post("/v1/messages", REQUEST, headers=sent)
        heads = [request.partition(b"\r\n\r\n")[0] for request in gw.ups[0].requests]
        assert [b"\r\nx-request-id: r%d" % number in head for number, head in enumerate(heads)] == [kept] * 3
        assert all(head.count(b"x-api-key: ") == 1 and b"traceparent" not in head for head in heads)


def in_place(scope: Scope) -> None:
    scope["headers"].append((b"x-added", b"1"))


def anew(scope: Scope) -> None:
    scope["headers"] = tuple((name, value) for name, value in scope["headers"] if name != b"x-mine")


@pytest.mark.parametrize(("change", "added", "kept"), [(in_place, True, True), (anew, False, False)])
async def test_a_provider_gets_the_headers_as_the_last_app_in_front_has_left_them(
    change: Callable[[Scope], None], added: bool, kept: bool
) -> None:
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:

        async def between(scope: Scope, receive: Receive, send: Send) -> None:
            if Call.of(scope).headers["x-mine"] == "change":
                change(scope)
            await gw.app(scope, receive, send)

        drive = Driver(AccessMiddleware(between))
        for mine in ("leave", "change", "leave", "change"):
            await drive.post("/v1/messages", REQUEST, headers={**ANTHROPIC, "x-mine": mine})
        heads = [request.partition(b"\r\n\r\n")[0] for request in gw.ups[0].requests]
        assert [b"x-added: 1" in head for head in heads] == [False, added, False, added]
        assert [b"x-mine: " in head for head in heads] == [True, kept, True, kept]
        assert all(b"content-length: " in head for head in heads)


async def test_answer_headers_pass_but_for_the_upstreams_limits_and_its_hop() -> None:
    headers = (
        JSON
        + b"request-id: req_up\r\nanthropic-ratelimit-requests-remaining: 3\r\nx-ratelimit-limit-tokens: 1\r\n"
        b"set-cookie: a=b\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nanthropic-organization-id: o\r\nx-new: 1\r\n"
    )
    async with gateway(repeat(answer(MESSAGE, headers=headers))) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert set(reply.headers) == {
            "content-type",
            "request-id",
            "x-new",
            "content-length",
            "x-gateway-call",
        }


async def test_the_limits_of_the_callers_own_credential_are_theirs_to_see() -> None:
    from gateway.llm.signing import Unsigned

    headers = JSON + b"anthropic-ratelimit-unified-status: allowed_warning\r\n"
    async with gateway(repeat(answer(MESSAGE, headers=headers)), passthrough=True, signer=Unsigned()) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.headers["anthropic-ratelimit-unified-status"] == "allowed_warning"


async def test_another_model_name_changes_that_and_nothing_else() -> None:
    from gateway.llm.routes import ModelRule, Target

    rule = ModelRule(match="fast", to=(Target("one", "claude-x"),))
    async with gateway(repeat(answer(MESSAGE, headers=JSON)), models=[rule]) as gw:
        await gw.drive.post("/v1/messages", ODD.replace(b'"claude-x"', b'"fast"'), headers=ANTHROPIC)
        body = gw.ups[0].requests[0].partition(b"\r\n\r\n")[2]
        assert json.loads(body) == json.loads(ODD)
        assert b"1.50" in body
        assert b"\\u0068i" in body


async def test_a_stream_passes_as_it_comes_and_is_metered() -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD)
        for piece in EVENTS:
            await peer.write(chunk(piece))
            await asyncio.wait_for(arrived.wait(), 5)  # the next only when the client has this one
            arrived.clear()
        await peer.write(b"0\r\n\r\n")
        await peer.gone()

    def note(reply: Reply) -> bool:
        arrived.set()
        return False

    async with gateway(script) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC, leave_after=note)
        assert reply.chunks == [piece.encode() for piece in EVENTS]
        assert reply.complete
        assert gw.call.usage == Usage(input=7, output=3)


async def test_a_client_that_takes_its_time_gets_the_whole_answer_all_the_same() -> None:
    written = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]))
        await begun.wait()
        await peer.write(chunk("".join(EVENTS[1:])) + b"0\r\n\r\n")
        written.set()
        await peer.gone()

    begun = asyncio.Event()
    async with gateway(script) as gw:

        async def slow(scope, receive, send):  # type: ignore[no-untyped-def]
            async def sending(message):  # type: ignore[no-untyped-def]
                begun.set()
                await written.wait()
                for _ in range(100):  # until the upstream's last bytes have surely been parsed
                    await asyncio.sleep(0)
                await send(message)

            await gw.app(scope, receive, sending)

        from tests.driver import Driver

        reply = await Driver(slow).post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert reply.body == "".join(EVENTS).encode()
        assert reply.complete


async def test_an_upstream_error_passes_word_for_word() -> None:
    body = (
        b'{"type":"error","error":{"type":"invalid_request_error","message":"odd  wording"},"request_id":"r"}'
    )
    raw = answer(body, status=b"400 Bad Request", headers=JSON + b"request-id: r\r\n")
    async with gateway(repeat(raw)) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.body, reply.headers["request-id"]) == (400, body, "r")
        assert len(gw.ups[0].requests) == 1
        assert gw.call.usage is None


async def test_a_rate_limit_passes_with_its_retry_after() -> None:
    raw = answer(b"{}", status=b"429 Too Many Requests", headers=JSON + b"retry-after: 30\r\n")
    async with gateway(repeat(raw)) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.headers["retry-after"]) == (429, "30")
        assert len(gw.ups[0].requests) == 1


async def test_our_own_refused_credential_is_not_the_callers_fault(caplog: pytest.LogCaptureFixture) -> None:
    raw = answer(b'{"error":"bad key sk-one"}', status=b"401 Unauthorized", headers=JSON)
    async with gateway(repeat(raw)) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.status == 500
        assert reply.json["error"]["type"] == "api_error"
        assert b"sk-one" not in reply.body
    assert "alert: provider one" in caplog.text


async def test_a_passthrough_provider_gets_the_callers_credential_and_its_401_comes_back() -> None:
    raw = answer(b'{"e":1}', status=b"401 Unauthorized", headers=JSON)
    from gateway.llm.signing import Unsigned

    async with gateway(repeat(raw), passthrough=True, signer=Unsigned()) as gw:
        reply = await gw.drive.post(
            "/v1/messages", REQUEST, headers={"authorization": "Bearer oauth", "cookie": "a"}
        )
        assert (reply.status, reply.body) == (401, b'{"e":1}')
        assert b"\r\nauthorization: Bearer oauth\r\n" in gw.ups[0].requests[0]
        assert b"cookie" not in gw.ups[0].requests[0]


async def test_a_redirect_is_not_followed_and_not_passed_on() -> None:
    raw = answer(b"", status=b"302 Found", headers=b"location: http://169.254.169.254/\r\n")
    async with gateway(repeat(raw), retries=0) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.status == 502
        assert "location" not in reply.headers


@pytest.mark.parametrize("providers", [1, 2])
async def test_a_compressed_stream_passes_as_it_is_and_is_metered_all_the_same(providers: int) -> None:
    """With two providers its beginning is looked at before the client gets it."""
    packed = gzip.compress(sse(*EVENTS))
    reply_as = answer(packed, headers=b"content-type: text/event-stream\r\ncontent-encoding: gzip\r\n")
    rule = ModelRule(match="*", to=tuple(Target(name) for name in ("one", "two")[:providers]))
    async with gateway(*[repeat(reply_as)] * providers, models=[rule]) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert reply.body == packed
        assert gw.call.usage == Usage(input=7, output=3)


async def test_a_compressed_answer_passes_as_it_is_and_is_metered_all_the_same() -> None:
    packed = gzip.compress(MESSAGE)
    async with gateway(repeat(answer(packed, headers=JSON + b"content-encoding: gzip\r\n"))) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.body, reply.headers["content-encoding"]) == (packed, "gzip")
        assert gw.call.usage == Usage(input=7, output=3)


async def test_a_long_answer_in_pieces_is_relayed_in_pieces_and_metered() -> None:
    big = MESSAGE.replace(b"hello", b"x" * 300_000).replace(b'"output_tokens":3', b'"output_tokens":70000')

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(big))
        for at in range(0, len(big), 50_000):
            await peer.write(big[at : at + 50_000])
            await asyncio.sleep(0)
        await peer.gone()

    async with gateway(script) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert reply.body == big
        assert reply.headers["content-length"] == str(len(big))
        assert gw.call.usage == Usage(input=7, output=70000)


async def test_a_cut_stream_ends_in_an_error_event_and_is_charged_by_estimate() -> None:
    async with gateway(streaming(*EVENTS[:3], end=False)) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        last = reply.body.rstrip().rsplit(b"\n\n", 1)[-1]
        assert last.startswith(b"event: error\n")
        assert b"message_stop" not in reply.body
        assert reply.complete
        assert gw.call.usage is not None
        assert gw.call.usage.estimated
        assert gw.call.usage.input == 7
        assert gw.call.refusal is not None


async def test_a_stream_cut_inside_an_event_still_ends_in_an_event_of_its_own() -> None:
    async with gateway(streaming(*EVENTS[:2], EVENTS[2][:40], end=False)) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert b"\n\nevent: error\n" in reply.body


DEEP = b"[" * 5000 + b"]" * 5000


@pytest.mark.parametrize("member", [DEEP, b'"\xff"'])
async def test_an_answer_that_cannot_be_read_passes_as_it_is_and_is_charged_by_estimate(
    member: bytes,
) -> None:
    odd = b'{"stop_reason":%b,"content":%b}' % (member, member)
    async with gateway(repeat(answer(odd, headers=JSON))) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert (reply.status, reply.body, reply.complete) == (200, odd, True)
        assert gw.call.usage is not None
        assert gw.call.usage.estimated


@pytest.mark.parametrize("member", [DEEP, b'"\xff"'])
async def test_an_event_that_cannot_be_read_passes_as_it_is_and_the_others_are_metered(member: bytes) -> None:
    odd = b'data: {"type":"message_delta","usage":{},"stop_reason":%b}\n\n' % member
    async with gateway(streaming(*EVENTS[:3], odd, *EVENTS[3:])) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert reply.body == sse(*EVENTS[:3]) + odd + sse(*EVENTS[3:])
        assert gw.call.usage == Usage(input=7, output=3)


async def test_a_cut_answer_that_is_no_stream_breaks_the_clients_connection_too() -> None:
    from gateway.errors import UpstreamClosed

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n" + JSON + b"content-length: 100\r\n\r\n" + MESSAGE[:50])

    async with gateway(script) as gw:
        with pytest.raises(UpstreamClosed):
            await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)


async def test_when_the_client_leaves_the_upstream_ends_and_the_answer_so_far_is_charged() -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + chunk(EVENTS[2]))
        await peer.gone()
        ended.set()

    async with gateway(script) as gw:
        await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC, leave_after=lambda r: bool(r.chunks))
        await asyncio.wait_for(ended.wait(), 1)
        assert gw.call.usage is not None
        assert gw.call.usage.estimated


async def test_when_the_client_leaves_before_any_answer_the_upstream_ends_too() -> None:
    ended, asked = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        ended.set()

    async with gateway(script) as gw:
        from tests.driver import Driver

        async def leaving(scope, receive, send):  # type: ignore[no-untyped-def]
            async def gone():  # type: ignore[no-untyped-def]
                message = await receive() if not asked.is_set() else {"type": "http.disconnect"}
                return message

            await gw.drive.app(scope, gone, send)

        await Driver(leaving).post("/v1/messages", REQUEST, headers=ANTHROPIC)
        await asyncio.wait_for(ended.wait(), 1)
        assert gw.call.status == 499


async def test_a_call_that_is_stopped_in_mid_stream_ends_with_the_reason() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]))
        await peer.gone()

    from gateway.call import Call

    calls: list[Call] = []

    async with gateway(script) as gw:

        async def app(scope, receive, send):  # type: ignore[no-untyped-def]
            async def watching(message):  # type: ignore[no-untyped-def]
                await send(message)
                if message["type"] == "http.response.body" and not calls:
                    calls.append(Call.of(scope))
                    calls[0].stop(Refusal(403, "permission_error", "this key was stopped", "kill"))

            await gw.app(scope, receive, watching)

        from tests.driver import Driver

        reply = await Driver(app).post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert reply.complete
        assert reply.body.endswith(
            b'event: error\ndata: {"type":"error","error":{"type":"permission_error","message":"this key was stopped"}}\n\n'
        )


@pytest.mark.parametrize("stage", ["before the answer", "within it"])
async def test_silence_is_a_timeout_in_the_callers_dialect(stage: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if stage == "within it":
            await peer.write(STREAM_HEAD + chunk(EVENTS[0]))
        await peer.gone()

    from gateway.net.client import Timeouts

    short = Timeouts(first_byte=0.05, idle=0.05)
    async with gateway(script, timeouts=short) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, headers=ANTHROPIC)
        if stage == "before the answer":
            assert (reply.status, reply.json["error"]["type"]) == (504, "timeout_error")
        else:
            assert reply.status == 200
            assert b"event: error" in reply.body
            assert b"timeout_error" in reply.body


async def test_chat_passes_and_is_metered() -> None:
    async with gateway(repeat(answer(COMPLETION, headers=JSON)), dialects=["openai-chat"]) as gw:
        reply = await gw.drive.post(
            "/v1/chat/completions", CHAT, headers={"authorization": "Bearer sk-caller"}
        )
        assert (reply.status, reply.body) == (200, COMPLETION)
        assert gw.ups[0].requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert b"\r\nauthorization: Bearer sk-one\r\n" in gw.ups[0].requests[0]
        assert gw.call.usage == Usage(input=5, output=2)


async def test_embeddings_pass_and_are_metered() -> None:
    body = b'{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":9,"total_tokens":9}}'
    async with gateway(repeat(answer(body, headers=JSON)), dialects=["openai-chat"]) as gw:
        reply = await gw.drive.post("/v1/embeddings", {"model": "e", "input": "x"})
        assert reply.body == body
        assert gw.ups[0].requests[0].startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
        assert gw.call.usage == Usage(input=9)


async def test_the_same_route_under_a_prefix_asks_the_upstream_for_its_own_path() -> None:
    async with gateway(repeat(answer(MESSAGE, headers=JSON))) as gw:
        await gw.drive.post("/gemini/v1/messages", REQUEST, headers=ANTHROPIC)
        assert gw.ups[0].requests[0].startswith(b"POST /v1/messages HTTP/1.1\r\n")


def test_a_provider_prefers_the_clients_own_wire() -> None:
    both = Provider(name="o", base_url="x", dialects=("openai-responses", "openai-chat"),
                    by_model=(("claude-*", ("vertex",)),))  # fmt: skip
    assert both.dialect("gpt-x", "openai-chat") == "openai-chat"
    assert both.dialect("gpt-x", "anthropic") == "openai-responses"
    assert both.dialect("claude-x", "openai-chat") == "vertex"


async def test_each_answer_is_its_own() -> None:
    one, two = (MESSAGE.replace(b"hello", word) for word in (b"one", b"two"))
    async with gateway(each(answer(one, headers=JSON), answer(two, headers=JSON))) as gw:
        got = [await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC) for _ in range(2)]
        assert [reply.body for reply in got] == [one, two]
