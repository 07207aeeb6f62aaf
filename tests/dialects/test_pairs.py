"""OpenAI and Bedrock upstreams for every client: the client's SDK reads what the provider's own SDK makes of the bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from gateway.llm.dialects import dialect
from gateway.llm.dialects.protocol import Json, Request
from gateway.llm.dialects.reduce import reduce
from tests.dialects import (
    oracles,
    specified_bedrock,
    specified_chat,
    specified_responses,
)
from tests.dialects.driving import CHECKS, feed, reply, written
from tests.dialects.oracles_aws import converse_stream
from tests.dialects.words import ANSWERS, STREAMS, differences, plain

WIRE = {"sse": True, "thoughts": True, "include_usage": True}
CLIENTS = {**STREAMS, "bedrock": oracles.bedrock_stream, "vertex": oracles.anthropic_stream}


CHAT = ("TEXT", "EMPTY", "ONE_TOOL", "NO_ARGUMENTS", "LONG_ARGUMENTS", "PARALLEL", "INTERLEAVED", "ONE_CHUNK", "REFUSAL", "FILTERED",
        "FILTERED_AT_ONCE", "CUT_IN_TOOL", "UNKNOWN", "REASONING", "OPENROUTER")  # fmt: skip
RESPONSES = ("TEXT", "EMPTY", "ONE_TOOL", "NO_ARGUMENTS", "LONG_ARGUMENTS", "PARALLEL", "INTERLEAVED", "REASONING", "HIDDEN_REASONING",
             "TWO_STEPS", "REFUSAL", "FILTERED", "CUT_IN_TOOL", "WHOLE_ITEMS")  # fmt: skip
CONVERSE = ("TEXT", "EMPTY", "ONE_TOOL", "NO_ARGUMENTS", "LONG_ARGUMENTS", "PARALLEL", "REASONING", "GUARDED", "CUT_IN_TOOL",
            "CONTEXT_FULL", "UNKNOWN")  # fmt: skip
UPSTREAMS: dict[str, tuple[Any, tuple[str, ...], Callable[[bytes], Json]]] = {
    "openai-chat": (specified_chat, CHAT, oracles.chat_stream),
    "openai-responses": (specified_responses, RESPONSES, oracles.responses_stream),
    "bedrock": (specified_bedrock, ("INVOKE",), oracles.bedrock_stream),
    "bedrock-converse": (specified_bedrock, CONVERSE, converse_stream),
}
STOPS = {"guardrail_intervened": "refusal"}
# What a client's wire cannot say: Anthropic's context limit is a maximum to the others.
BOUNDS = {"model_context_window_exceeded": "max_tokens"}
PAIRS = [
    (upstream, case, client)
    for upstream, (_, cases, _) in UPSTREAMS.items()
    for case, client in product(cases, CLIENTS)
    if client != upstream
]


@pytest.mark.parametrize(("upstream", "case", "client"), PAIRS)
def test_the_clients_sdk_reads_what_the_providers_sdk_reads(upstream: str, case: str, client: str) -> None:
    module, _, oracle = UPSTREAMS[upstream]
    stream: bytes = getattr(module, case)
    meant = oracle(stream)
    meant["stop"] = STOPS.get(meant["stop"], meant["stop"])
    if case == "REFUSAL":  # the SDK tells a refusal by its part, the hub by its stop reason
        meant["stop"] = "refusal"
    if client not in ("anthropic", "bedrock", "vertex"):
        meant["stop"] = BOUNDS.get(meant["stop"], meant["stop"])
    events = feed(dialect(upstream).reader(reply()), [stream])
    sent = written(dialect(client), events, wire=WIRE)
    CHECKS[client](sent, whole=True)
    told = CLIENTS[client](sent)
    if upstream == "openai-responses" or client == "openai-responses":
        meant, told = _joined(meant), _joined(told)
    assert differences(upstream, meant, client, told) == {}


def _joined(words: Json) -> Json:
    thoughts = words.get("thoughts") or ()
    return {**words, "thoughts": thoughts if isinstance(thoughts, str) else "\n\n".join(thoughts)}


BROKEN = [
    ("openai-chat", specified_chat, ("ERROR_FIRST", "ERROR_INSIDE", "ERROR_BETWEEN", "TRUNCATED", "GARBAGE")),
    (
        "openai-responses",
        specified_responses,
        ("ERROR_FIRST", "FAILED_INSIDE", "FAILED_BETWEEN", "TRUNCATED", "GARBAGE"),
    ),
    (
        "bedrock-converse",
        specified_bedrock,
        ("ERROR_FIRST", "ERROR_INSIDE", "ERROR_BETWEEN", "TRUNCATED", "GARBAGE"),
    ),
]
FAILING = [
    (name, module, case, client) for name, module, cases in BROKEN for case, client in product(cases, CLIENTS)
]


@pytest.mark.parametrize(("upstream", "module", "case", "client"), FAILING)
def test_a_broken_stream_is_an_error_to_every_client(
    upstream: str, module: Any, case: str, client: str
) -> None:
    events = feed(dialect(upstream).reader(reply()), [getattr(module, case)])
    CHECKS[client](written(dialect(client), events, wire=WIRE), whole=False)


@pytest.mark.parametrize(
    ("upstream", "case", "client"),
    [pair for pair in PAIRS if pair[1] in ("PARALLEL", "TEXT", "CUT_IN_TOOL", "INVOKE")],
)
def test_whole_answers_say_what_streams_say(upstream: str, case: str, client: str) -> None:
    module, _, _ = UPSTREAMS[upstream]
    events = feed(dialect(upstream).reader(reply()), [getattr(module, case)])
    request = Request({"model": "m", "messages": []}, model="m", wire=WIRE)
    answer = dialect(client).write_answer(reduce(events), request)
    streamed = plain(CLIENTS[client](written(dialect(client), events, wire=WIRE)))
    whole = plain(_read(client, answer))
    assert {key: whole[key] for key in ("text", "calls", "stop", "usage")} == {
        key: streamed[key] for key in ("text", "calls", "stop", "usage")
    }


def _read(client: str, answer: Json) -> Json:
    return ANSWERS.get(client, oracles.anthropic_words)(answer)


def test_the_oracle_for_converse_is_botocores_own_reading() -> None:
    assert converse_stream(specified_bedrock.PARALLEL)["calls"] == [("a", {"n": 1}), ("b", {"n": 2})]
