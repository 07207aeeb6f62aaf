"""What botocore's own parsers make of Converse, whole and streamed, in plain words."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.parsers import EventStreamJSONParser, create_parser

from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Json


@cache
def _shape(name: str) -> Shape:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2")).shape_for(name)


def _nothing() -> Json:
    return {"text": "", "calls": [], "thoughts": [], "stop": "", "usage": None}


def converse_stream(body: bytes) -> Json:
    buffer, parser = EventStreamBuffer(), EventStreamJSONParser()
    buffer.add_data(body)
    told = _nothing()
    calls: dict[int, list[str]] = {}
    for message in buffer:
        event = parser.parse(message.to_response_dict(), _shape("ConverseStreamOutput"))
        start = event.get("contentBlockStart", {})
        if call := start.get("start", {}).get("toolUse"):
            calls[start["contentBlockIndex"]] = [call["name"], ""]
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        told["text"] += delta.get("text", "")
        if "toolUse" in delta:
            calls[event["contentBlockDelta"]["contentBlockIndex"]][1] += delta["toolUse"]["input"]
        if "text" in delta.get("reasoningContent", {}):
            told["thoughts"].append(delta["reasoningContent"]["text"])
        told["stop"] = event.get("messageStop", {}).get("stopReason", told["stop"])
        told["usage"] = _figures(event.get("metadata", {}).get("usage")) or told["usage"]
    told["calls"] = [(name, parse(text)) for name, text in calls.values()]
    return told


def converse_answer(body: Json) -> Json:
    raw = {"status_code": 200, "headers": {}, "body": orjson.dumps(body)}
    whole: Any = create_parser("rest-json").parse(raw, _shape("ConverseResponse"))
    told = _nothing()
    for block in whole["output"]["message"]["content"]:
        told["text"] += block.get("text", "")
        if call := block.get("toolUse"):
            told["calls"].append((call["name"], call["input"]))
        if thought := block.get("reasoningContent", {}).get("reasoningText"):
            told["thoughts"].append(thought["text"])
    return {**told, "stop": whole["stopReason"], "usage": _figures(whole.get("usage"))}


def _figures(usage: Json | None) -> tuple[int, int, int] | None:
    if not usage:
        return None
    cached = usage.get("cacheReadInputTokens", 0)
    return (
        usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0),
        usage["outputTokens"],
        cached,
    )
