"""A model that needs no key and no network: it repeats what it is told, and calls the tools it is asked to.

A line `call NAME {"argument": 1}` in the last turn makes it call that tool; what the tool answers, it tells. Everything else
it repeats. It is deterministic, so that it serves for trying things and for tests alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from gateway import endpoints
from gateway.call import Call
from gateway.demo import wires
from gateway.refusals import invalid, send_refusal
from gateway.types import Receive, Scope, Send

MODELS = ("claude-demo", "gpt-demo", "gemini-demo")
_CALL = re.compile(r"^call ([A-Za-z0-9_.-]+) *(\{.*\})?$", re.MULTILINE)
_WIRES: dict[str, type[wires.Anthropic | wires.OpenAI | wires.Gemini]] = {
    "anthropic": wires.Anthropic,
    "openai-chat": wires.OpenAI,
    "gemini": wires.Gemini,
}


@dataclass(frozen=True, slots=True)
class Reply:
    text: str = ""
    tool: str = ""
    arguments: dict[str, Any] | None = None

    @property
    def words(self) -> list[str]:
        return re.findall(r"\S+\s*", self.text) or [""]


def think(prompt: wires.Prompt) -> Reply:
    if prompt.tool_result is not None:
        return Reply(f"The tool answered: {prompt.tool_result}")
    calls = _CALL.findall(prompt.text)
    if calls and (tool := _named(calls[-1][0], prompt.tools)):
        return Reply(tool=tool, arguments=_arguments(calls[-1][1]))
    lines = [line for line in prompt.text.splitlines() if line.strip()]
    # Agents put reminders before what their user said.
    return Reply(f"You said: {lines[-1]}" if lines else "Hello.")


def _named(wanted: str, tools: list[str]) -> str:
    """The tool of this name, or the one that ends in it: clients put a server's name in front. An agent that has tools may
    have more than it lists: it defers them."""
    if not tools:
        return ""
    return next((tool for tool in tools if tool.endswith("__" + wanted)), wanted)


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


_UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class DemoModel:
    """The ASGI app: Anthropic Messages, OpenAI chat and Gemini, streamed and not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.new(scope)
        endpoint = endpoints.match(call.path, call.headers)
        if endpoint is None or endpoint.dialect not in _WIRES:
            return await send_refusal(call, invalid("the demo model has no such path", status=404), send)
        wire = _WIRES[endpoint.dialect]
        if endpoint.method == "models":
            return await _json(send, wire.models(MODELS))
        try:
            body = orjson.loads(await _body(receive))
            prompt, tokens = wire.read(body), len(orjson.dumps(body)) // 4
        except _UNREADABLE:
            return await send_refusal(call, invalid("the demo model cannot read this body"), send)
        if endpoint.method == "count_tokens":
            return await _json(send, wire.count(tokens))
        model = endpoint.model or body.get("model", "")
        answer = wire(model, tokens, think(prompt))
        if endpoint.stream or body.get("stream"):
            return await _stream(send, answer.events())
        await _json(send, answer.message())


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _json(send: Send, value: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(value)})


async def _stream(send: Send, frames: Any) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for frame in frames:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
