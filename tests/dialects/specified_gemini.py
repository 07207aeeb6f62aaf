"""Specified Gemini answers, after the wire facts of generateContent. None of them was recorded."""

from __future__ import annotations

from gateway.llm.dialects.protocol import Json
from tests.dialects.driving import sse

USAGE: Json = {
    "promptTokenCount": 43,
    "cachedContentTokenCount": 30,
    "candidatesTokenCount": 10,
    "totalTokenCount": 53,
}


def called(name: str, number: int, **more: str) -> Json:
    return {"functionCall": {"id": f"call_{name}", "name": name, "args": {"n": number}}, **more}


def answer(*parts: Json) -> Json:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "up", "responseId": "r"}


SIGNED = answer({"text": "On it."}, called("a", 1, thoughtSignature="U2ln"))
PARALLEL = sse(answer({"text": "On it."}, called("a", 1, thoughtSignature="U2ln"), called("b", 2)))
