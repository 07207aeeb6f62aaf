"""How the tests of dialects drive them: ids that count, streams in any pieces, whole ways from wire to wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import orjson

from gateway.llm.dialects.protocol import Dialect, Json, Options, Outbound, Reply, Request, StreamReader
from gateway.llm.dialects.reduce import reduce
from tests.dialects import grammar, grammar_openai

CHECKS: dict[str, Callable[..., Any]] = {
    "anthropic": grammar.anthropic,
    "vertex": grammar.anthropic,
    "gemini": grammar.gemini,
    "openai-chat": grammar_openai.chat,
    "openai-responses": grammar_openai.responses,
    "bedrock": grammar_openai.bedrock,
}


def counting_ids() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def reply(**known: Any) -> Reply:
    return Reply(**{"model": "the-model", "new_id": counting_ids(), **known})


def sse(*bodies: Any, end: bytes = b"\r\n\r\n") -> bytes:
    """A specified stream of data frames, as Google sends them."""
    return b"".join(b"data: " + orjson.dumps(body) + end for body in bodies)


def named(*events: Json) -> bytes:
    """A specified stream of named events, as Anthropic sends them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events
    )


def feed(reader: StreamReader, pieces: Iterable[bytes]) -> list[Json]:
    """All events of a stream; they obey the hub's grammar."""
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.end()
    grammar.hub(events)
    return events


def message_of(dialect: Dialect, stream: bytes, **known: Any) -> Json:
    """The message that a stream tells, which must end well."""
    events = feed(dialect.reader(reply(**known)), [stream])
    grammar.hub(events, whole=True)
    return reduce(events)


def splits(stream: bytes) -> Iterable[list[bytes]]:
    """Every way to cut a stream in two, and the one that cuts it at every byte."""
    yield [stream[at : at + 1] for at in range(len(stream))]
    for at in range(1, len(stream)):
        yield [stream[:at], stream[at:]]


def outbound(dialect: Dialect, hub: Json, model: str, **options: Any) -> Outbound:
    return dialect.write_request({"max_tokens": 100, **hub}, Options(model=model, **options))


def written(dialect: Dialect, events: Iterable[Json], **request: Any) -> bytes:
    """A stream as the client gets it; it obeys the grammar of its dialect."""
    wire = request.get("wire") or {}
    writer = dialect.writer(Request({}, **{"model": "asked", "stream": True, **request}))
    stream = b"".join(writer.write(event) for event in events)
    if wire.get("sse", True):
        CHECKS[_name(dialect)](stream)
    return stream


def _name(dialect: Any) -> str:
    return str(dialect.__name__).rsplit(".", 1)[1].replace("_", "-")
