"""What does not fit Lambda, or is missing in the account, is said before or instead of an answer, in words that name it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.config.build import build
from gateway.config.load import loads
from gateway.config.resources import Place, Resources
from gateway.errors import ConfigError
from gateway.identity import keys
from tests.driver import Driver
from tests.stores.stub import THROTTLED, Answer, Stub


def on_lambda(text: str) -> None:
    resources = Resources(place="lambda")
    try:
        build(loads(text, source="gateway.yaml", folder=Path(), env={}), resources)
    finally:
        asyncio.run(resources.close())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "store: 'sqlite:///x.db'\nroutes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\n",
            "gateway.yaml:1: store: SQLite does not fit Lambda",
        ),
        (
            "routes:\n- path: /mcp\n  mcp: {servers: {files: {command: [npx, -y, server]}}}\n",
            r"gateway.yaml:3: mcp.servers.files: a command cannot run on Lambda.*give its url",
        ),
        (
            "telemetry: {audit: {file: audit.jsonl}}\nroutes: [{path: /, llm: {providers: {anthropic: {api_key: k}}}}]\n",
            "gateway.yaml:1: telemetry.audit.file: no file is kept on Lambda",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        on_lambda(text)


NO_TABLE = ("ResourceNotFoundException", "Requested resource not found")
NO_RIGHT = (
    "AccessDeniedException",
    "User: arn:aws:sts::1:assumed-role/g is not authorized to perform: dynamodb:GetItem",
)
NOBODY = ("UnrecognizedClientException", "The security token included in the request is invalid.")
OTHERS = ("ValidationException", "The provided key element does not match the schema")
ABSENT = (
    (NO_TABLE, "there is no table gateway in eu-west-1: `gateway store init` makes it"),
    (NO_RIGHT, "may not dynamodb:GetItem on the table gateway: allow what infra/dynamodb/policy.json lists"),
    (NOBODY, "AWS does not know these credentials"),
    (OTHERS, "the key of gateway is not pk and sk: it is another program's table"),
)
FILE = """
store: "dynamodb://gateway?region=eu-west-1&timeout=5&endpoint={url}"
policies: {{auth: {{keys: true}}}}
routes: [{{path: /, llm: {{providers: {{anthropic: {{api_key: k}}}}}}}}]
telemetry: {{log: "off"}}
"""
KEY = keys.make(owner="you@example.com", at=0.0).text


@pytest.fixture(autouse=True)
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


@asynccontextmanager
async def asking(*answers: Answer, place: Place = "lambda") -> AsyncIterator[tuple[Driver, Stub]]:
    """A gateway over a table of which DynamoDB says this."""
    async with Stub(list(answers)) as stub:
        resources = Resources(place=place)
        text = FILE.format(url=stub.url)
        running = build(loads(text, source="gateway.yaml", folder=Path(), env={}), resources)
        yield Driver(running.app), stub
        await resources.close()


def said(kind: str, message: str) -> Answer:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message}


@pytest.mark.parametrize(("answer", "says"), ABSENT)
async def test_the_first_request_says_what_the_account_lacks(answer: tuple[str, str], says: str) -> None:
    async with asking(said(*answer)) as (drive, _):
        reply = await drive.post("/v1/messages", b"{}", headers={"x-api-key": KEY})
    assert reply.status == 503
    assert says in reply.json["error"]["message"]


@pytest.mark.parametrize("place", ["lambda", "lambda-streaming", "server"])
@pytest.mark.parametrize(("answer", "says"), ABSENT)
async def test_nobody_is_sent_where_the_account_is_not_set_up(
    answer: tuple[str, str], says: str, place: Place
) -> None:
    async with asking(said(*answer), place=place) as (drive, _):
        reply = await drive.get("/readyz")
        assert (await drive.get("/healthz")).status == 200  # to stop the process would help nobody
    assert reply.status == 503
    assert says in reply.json["reason"]


async def test_a_right_to_write_is_asked_for_without_writing() -> None:
    may_not = said("AccessDeniedException", "not authorized to perform: dynamodb:UpdateItem")
    async with asking((200, {}), may_not) as (drive, stub):
        reply = await drive.get("/readyz")
    assert "may not dynamodb:UpdateItem" in reply.json["reason"]
    # Of a document that nobody makes.
    assert stub.requests[-1]["ConditionExpression"].startswith("#n = :expect")


async def test_what_is_ready_is_not_asked_for_again_and_again() -> None:
    absent = said("ConditionalCheckFailedException", "The conditional request failed")
    async with asking((200, {}), absent) as (drive, stub):
        assert [(await drive.get("/readyz")).status for _ in range(3)] == [200, 200, 200]
    assert len(stub.requests) == 2


async def test_a_store_that_is_slow_for_now_is_no_reason_to_be_sent_nothing() -> None:
    async with asking(THROTTLED) as (drive, _):
        assert (await drive.get("/readyz")).status == 200
