import json
from typing import Any

import pytest

from gateway import body, refusals
from gateway.call import Call
from gateway.compose import Route, compose
from gateway.errors import BadRequest, ClientGone, Refused, StoreError, UpstreamClosed, UpstreamTimeout
from gateway.types import Receive, Scope, Send
from tests.driver import Driver


class Seen:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def finished(self, call: Call) -> None:
        self.calls.append(call)


def raising(error: Exception) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    data = await body.read(scope, receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": Call.of(scope).route.encode() + b"|" + data})


def gateway(app: Any = echo, **options: Any) -> Driver:
    return Driver(
        compose(
            [Route("/", app), Route("/mcp", app, mcp=True), Route("/mcp/filesystem", app, mcp=True)],
            **options,
        )
    )


@pytest.mark.parametrize(
    ("path", "route"),
    [("/v1/messages", "/"), ("/mcp", "/mcp"), ("/mcp/", "/mcp"), ("/mcp/filesystem", "/mcp/filesystem"),
     ("/mcp/filesystemx", "/mcp"), ("/mcpx", "/"), ("/", "/")],
)  # fmt: skip
async def test_the_longest_route_wins_by_whole_segments(path: str, route: str) -> None:
    reply = await gateway().post(path, b"hi")
    assert reply.body == route.encode() + b"|hi"


async def test_an_exact_route_matches_nothing_below_it() -> None:
    drive = Driver(compose([Route("/mcp", echo, exact=True)]))
    assert (await drive.post("/mcp", b"")).status == 200
    assert (await drive.post("/mcp/x", b"")).status == 404


async def test_a_route_may_stand_on_one_port_only() -> None:
    app = compose([Route("/mcp", echo, ports=frozenset({3001}))])
    assert (await Driver(app, server=("h", 3001)).post("/mcp", b"")).status == 200
    assert (await Driver(app, server=("h", 3000)).post("/mcp", b"")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "//v1/messages",
        "/v1//messages",
        "/v1/../mcp",
        "/v1/%2e%2e/mcp",
        "/./mcp",
        "/mcp;x=1",
        "/mcp%5cx",
        "/a%00b",
        "/mcp/..",
    ],
)
async def test_row_16_a_path_that_can_be_read_in_two_ways_is_refused(path: str) -> None:
    reply = await gateway().post(path, b"")
    assert reply.status == 400


async def test_row_16_an_encoded_slash_stays_inside_its_segment() -> None:
    reply = await gateway().post("/mcp%2Ffilesystem", b"x")
    assert reply.body == b"/|x"


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadRequest("no"), 400), (BadRequest("no", status=413), 413), (Refused(refusals.forbidden("no")), 403),
     (UpstreamTimeout("slow"), 504), (UpstreamClosed("gone"), 502), (StoreError("away"), 503), (RuntimeError("secret"), 500)],
)  # fmt: skip
async def test_what_goes_wrong_inside_is_answered_in_the_callers_dialect(
    error: Exception, status: int
) -> None:
    reply = await gateway(raising(error)).post(
        "/v1/messages", b"{}", headers={"anthropic-version": "2023-06-01"}
    )
    assert reply.status == status
    assert reply.json["type"] == "error"
    assert reply.json["request_id"].startswith("req_")
    assert "secret" not in reply.body.decode()


DIALECTS = {
    "/v1/messages": lambda b: b["error"]["type"] == "permission_error",
    "/v1/chat/completions": lambda b: (
        b["error"]["type"] == "permission_error" and b["error"]["code"] == "authz"
    ),
    "/v1beta/models/gemini-x:generateContent": lambda b: b["error"]["status"] == "PERMISSION_DENIED",
    "/model/claude/invoke": lambda b: b["message"] == "no",
    "/mcp": lambda b: b["jsonrpc"] == "2.0" and b["error"]["message"] == "no",
    "/elsewhere": lambda b: b["detail"] == "no" and b["status"] == 403,
}


@pytest.mark.parametrize("path", DIALECTS)
async def test_a_refusal_speaks_each_dialect(path: str) -> None:
    reply = await gateway(raising(Refused(refusals.forbidden("no")))).post(path, b"{}")
    assert reply.status == 403
    assert DIALECTS[path](json.loads(reply.body))


async def test_a_body_over_the_limit_is_413_declared_or_not() -> None:
    drive = gateway(bound=body.Bound(1000, "the test"))
    assert (await drive.post("/x", b"a" * 1000)).status == 200
    refused = await drive.post("/x", b"a" * 1001)
    assert (refused.status, refused.json["detail"]) == (
        413,
        "the request body is larger than the test accepts (1000 bytes)",
    )
    undeclared = await drive.post("/x", pieces=[b"a" * 600, b"a" * 600], headers={"content-length": "0"})
    assert undeclared.status == 413


async def test_a_client_that_leaves_before_its_body_is_complete_gets_nothing_and_is_noted() -> None:
    seen = Seen()
    reply = await gateway(raising(ClientGone("left")), observers=[seen]).post("/x", b"")
    assert reply.messages == []
    assert seen.calls[0].status == 499


async def test_an_answer_that_breaks_midway_does_not_look_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise UpstreamClosed("cut")

    with pytest.raises(UpstreamClosed):
        await gateway(app).post("/x", b"")


async def test_every_request_is_observed_once_whatever_became_of_it() -> None:
    seen = Seen()
    drive = gateway(observers=[seen])
    await drive.post("/x", b"1")
    await drive.get("/healthz")
    await drive.post("//", b"1")
    assert [call.status for call in seen.calls] == [200, 200, 400]


async def test_health_and_readiness_are_two_things() -> None:
    async def draining() -> str:
        return "draining"

    drive = gateway(ready=draining)
    assert (await drive.get("/healthz")).status == 200
    assert (await drive.get("/health")).status == 200
    reply = await drive.get("/readyz")
    assert (reply.status, reply.json["reason"]) == (503, "draining")


async def test_the_replayed_body_goes_on_to_tell_of_the_disconnect() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    call = Call(id="req_1", at=0.0, started=0, path="/", body=b"abc")
    replay = body.Replay(call, receive)
    assert (await replay())["body"] == b"abc"
    assert (await replay())["type"] == "http.disconnect"
