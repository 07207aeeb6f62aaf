"""Providers that answer something else than their API says: an error in the client's own terms, never the gateway's crash,
and the next call is served."""

from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import sse
from gateway.llm.dialects import eventstream
from tests.dialects import (
    grammar,
    grammar_openai,
    specified_anthropic,
    specified_bedrock,
    specified_chat,
    specified_gemini,
    specified_responses,
)
from tests.driver import Driver
from tests.llm.gateways import MESSAGE
from tests.llm.scripted import composed, driver, scripted, streamed, whole
from tests.llm.test_translating import ASKED, CLIENTS, COMPLETION, CONVERSED, RESPONDED

STREAMS = {
    "anthropic": specified_anthropic.EVERYTHING,
    "gemini": specified_gemini.PARALLEL,
    "openai-chat": specified_chat.PARALLEL,
    "openai-responses": specified_responses.REASONING,
    "bedrock": specified_bedrock.INVOKE,
    "bedrock-converse": specified_bedrock.PARALLEL,
    "vertex": specified_anthropic.EVERYTHING,
}
WHOLE: dict[str, Any] = {
    "anthropic": json.loads(MESSAGE),
    "gemini": specified_gemini.SIGNED,
    "openai-chat": COMPLETION,
    "openai-responses": RESPONDED,
    "bedrock": json.loads(MESSAGE),
    "bedrock-converse": CONVERSED,
    "vertex": json.loads(MESSAGE),
}
GRAMMARS = {
    "anthropic": grammar.anthropic,
    "gemini": grammar.gemini,
    "openai-chat": grammar_openai.chat,
    "openai-responses": grammar_openai.responses,
    "bedrock": grammar_openai.bedrock,
    "vertex": grammar.anthropic,
}
WRONG = st.sampled_from(
    [None, True, -1, 10**18, 0.5, "", "x", [], {}, [None], ["x"], [[]], {"x": 1}, {"type": "x"}]
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def spoilt(data: st.DataObject, value: Any) -> Any:
    """The same with one member missing, or of another type."""
    *way, last = place if (place := data.draw(st.sampled_from(places(value)), "place")) else (None,)
    if last is None:
        return data.draw(WRONG)
    value = copy.deepcopy(value)
    holder = value
    for key in way:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.booleans(), "missing"):
        del holder[last]
    else:
        holder[last] = data.draw(WRONG, "instead")
    return value


def frames(wire: str, stream: bytes) -> list[Any]:
    """The events of a stream, each with what is needed to write it again."""
    if wire.startswith("bedrock"):
        return [(frame.headers, orjson.loads(frame.payload)) for frame in eventstream.Splitter().feed(stream)]
    events = [event for frame in sse.Splitter().feed(stream) if (event := sse.parse(frame))]
    return [
        (event.name, event.data if b"[DONE]" in event.data else orjson.loads(event.data)) for event in events
    ]


def written(head: Any, body: Any) -> bytes:
    if isinstance(head, str):
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return (b"event: %b\n" % head.encode() if head else b"") + b"data: %b\n\n" % data
    return eventstream.encode(orjson.dumps(body), headers=tuple(head.items()))


def spoilt_frame(data: st.DataObject, head: Any, body: Any) -> Any:
    if isinstance(body, bytes):
        return body
    if not isinstance(head, str) and "bytes" in body and data.draw(st.booleans(), "inside"):
        inner = spoilt(data, orjson.loads(b64decode(body["bytes"])))
        return {"bytes": b64encode(orjson.dumps(inner)).decode()}
    return spoilt(data, body)


def spoilt_stream(data: st.DataObject, wire: str) -> bytes:
    parts = frames(wire, STREAMS[wire])
    at = data.draw(st.integers(0, len(parts) - 1), "frame")
    pieces = [written(*part) for part in parts]
    pieces[at] = written(parts[at][0], spoilt_frame(data, *parts[at]))
    stream = b"".join(pieces)
    cut = data.draw(st.none() | st.integers(0, len(stream)), "cut")
    return stream if cut is None else stream[:cut]


def pairs() -> list[Any]:
    """Each provider's wire with a client that needs a translation, and each client at least once."""
    clients = [*CLIENTS, "anthropic"]
    return [(next(c for c in clients[at:] + clients if c != wire), wire) for at, wire in enumerate(STREAMS)]


def fine(client: str, wire: str, body: bytes) -> None:
    """Of Claude's own events only the form is checked on the way, so only from other wires is the grammar whole."""
    if wire in ("anthropic", "bedrock", "vertex"):
        assert frames(client, body)
    else:
        GRAMMARS[client](body)


@pytest.mark.parametrize(("client", "wire"), pairs())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
async def test_a_stream_of_another_form(client: str, wire: str, data: st.DataObject) -> None:
    app, provider = scripted(wire)
    path, body = CLIENTS[client]
    provider.answers = [streamed(wire, spoilt_stream(data, wire)) for _ in range(2)]
    reply = await Driver(composed(app)).post(path, body)
    assert b"its log has the reason" not in reply.body
    if reply.status == 200:
        fine(client, wire, reply.body)
    else:
        assert reply.status in (400, 429, 500, 502, 504, 529), reply.body
        assert reply.json
    provider.answers = [streamed(wire, STREAMS[wire])]
    good = await driver(app).post(path, body)
    assert good.status == 200
    GRAMMARS[client](good.body)


@pytest.mark.parametrize(("client", "wire"), pairs())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
async def test_an_answer_of_another_form(client: str, wire: str, data: st.DataObject) -> None:
    app, provider = scripted(wire)
    body = {key: value for key, value in CLIENTS[client][1].items() if not key.startswith("stream")}
    bad = orjson.dumps(spoilt(data, WHOLE[wire]))
    cut = data.draw(st.none() | st.integers(0, len(bad)), "cut")
    provider.answers = [whole(bad[:cut]) for _ in range(2)]
    reply = await driver(app).post(ASKED[client], body)
    assert b"its log has the reason" not in reply.body
    assert reply.json
    assert reply.status in (200, 400, 429, 500, 502, 504, 529)
    provider.answers = [whole(orjson.dumps(WHOLE[wire]))]
    assert (await driver(app).post(ASKED[client], body)).status == 200
