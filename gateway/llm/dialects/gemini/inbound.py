"""A Gemini client's request in the hub's terms: the conversation. `asked` reads tools and settings.

Google's wire is protobuf's JSON: keys may come in camelCase or snake_case, and SDKs mix them.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects import carried, thoughts
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.gemini import asked
from gateway.llm.dialects.gemini.keys import camel, many
from gateway.llm.dialects.protocol import Json, Request, Target

_TOP = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"})
_PARTS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
)


def read_request(body: Json, target: Target) -> Request:
    with shaped("generateContent"):
        return _read(body, target)


def _read(body: Json, target: Target) -> Request:
    body = camel(body)
    if target.count and "generateContentRequest" in body:
        body = camel(body["generateContentRequest"])
    if body.get("cachedContent"):
        raise BadRequest("cachedContent lives on Google's servers: send the content itself")
    model = target.model or str(body.get("model", "")).removeprefix("models/")
    hub: Json = {"model": model, "messages": Conversation().read(body.get("contents"))}
    losses = [key for key in body if key not in _TOP]
    if system := _system(body.get("systemInstruction")):
        hub["system"] = system
    wire = asked.read(body, hub, losses)
    wire["sse"] = target.query.get("alt") == "sse"
    if target.stream:
        hub["stream"] = True
    return Request(hub, model=model, stream=target.stream, count=target.count, losses=losses, wire=wire)


def _system(instruction: Any) -> list[Json]:
    if isinstance(instruction, str):
        return [{"type": "text", "text": instruction}]
    parts = many(camel(instruction).get("parts")) if isinstance(instruction, dict) else []
    return [{"type": "text", "text": part["text"]} for part in parts if part.get("text")]


class Conversation:
    """Reads `contents`, gives calls an id where they have none, and finds each result its call."""

    def __init__(self) -> None:
        self._messages: list[Json] = []
        self._calls = 0
        self._waiting: list[tuple[str, str]] = []  # (name, id)

    def read(self, contents: Any) -> list[Json]:
        if not contents:
            raise BadRequest("contents: at least one content is required")
        for content in many(contents):
            if not isinstance(content, dict):
                raise BadRequest("contents: each must be an object")
            parts = [camel(part) for part in many(content.get("parts"))]
            if content.get("role") == "model":
                self._say("assistant", self._model(parts))
            else:
                self._say("user", self._user(parts))
        return self._messages or [{"role": "user", "content": ""}]

    def _say(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append({"role": role, "content": blocks})

    def _user(self, parts: list[Json]) -> list[Json]:
        """Results first: Anthropic wants them straight after their calls."""
        told = [self._result(camel(part["functionResponse"])) for part in parts if "functionResponse" in part]
        told.sort(key=lambda block: bool(block["type"] != "tool_result"))
        return told + [block for part in parts if "functionResponse" not in part for block in plain(part)]

    def _model(self, parts: list[Json]) -> list[Json]:
        if self._messages and self._messages[-1]["role"] == "user":
            self._waiting = []  # what has no result by now gets none
        blocks: list[Json] = []
        for part in parts:
            signature = str(part.get("thoughtSignature") or "")
            if "functionCall" in part:
                carried.restore(blocks, signature)
                blocks.append(self._call(camel(part["functionCall"])))
            elif part.get("thought"):
                signed = thoughts.wrap(thoughts.THOUGHT, signature) if signature else ""
                blocks.append({"type": "thinking", "thinking": part.get("text") or "", "signature": signed})
            else:
                blocks += plain(part)
                if signature and carried.unpack(signature) is None:
                    place = thoughts.after_text(len(part.get("text") or ""))
                    blocks.append(
                        {"type": "thinking", "thinking": "", "signature": thoughts.wrap(place, signature)}
                    )
        return blocks

    def _call(self, call: Json) -> Json:
        name = str(call.get("name") or "")
        ident = str(call.get("id") or f"call_{self._calls}")
        self._calls += 1
        self._waiting.append((name, ident))
        return {"type": "tool_use", "id": ident, "name": name, "input": call.get("args") or {}}

    def _result(self, response: Json) -> Json:
        """A tool result; text, where its call is gone from the conversation."""
        found = self._awaited(str(response.get("id") or ""), str(response.get("name") or ""))
        value = response.get("response")
        value = value if isinstance(value, dict) else {"output": value}
        alone = next(iter(value)) if len(value) == 1 else ""
        said = value[alone] if alone in ("output", "result", "error") else value
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
        if not found:
            return {"type": "text", "text": f"Result of an earlier call of {response.get('name')}: {text}"}
        media = [block for part in many(response.get("parts")) for block in plain(camel(part))]
        content = [{"type": "text", "text": text}, *media]
        result: Json = {"type": "tool_result", "tool_use_id": found, "content": content}
        return {**result, "is_error": True} if alone == "error" else result

    def _awaited(self, ident: str, name: str) -> str:
        """The id of the call that this answers, found by its id or else by its name; empty where there is none."""
        waiting = [call for call in self._waiting if call[1] == ident] or [
            call for call in self._waiting if call[0] == name
        ]
        if not waiting:
            return ""
        self._waiting.remove(waiting[0])
        return waiting[0][1]


def plain(part: Json) -> list[Json]:
    """A part that is neither call nor result nor thought."""
    if "inlineData" in part:
        blob = camel(part["inlineData"])
        return [
            _media(
                str(blob.get("mimeType", "")), {"type": "base64", "data": standard(str(blob.get("data", "")))}
            )
        ]
    if "fileData" in part:
        file = camel(part["fileData"])
        return [_media(str(file.get("mimeType", "")), {"type": "url", "url": str(file.get("fileUri", ""))})]
    if "executableCode" in part or "codeExecutionResult" in part:
        raise BadRequest("executableCode and codeExecutionResult parts belong to Google's own code execution")
    if "text" in part:
        return [{"type": "text", "text": part["text"]}] if part["text"] else []
    if part.keys() - {"thoughtSignature", "videoMetadata", "mediaResolution"}:
        raise BadRequest(
            f"a part with {', '.join(sorted(part))} is not known here; known are {', '.join(_PARTS)}"
        )
    return []


def _media(mime: str, source: Json) -> Json:
    if mime.startswith("image/"):
        kind = "image"
    elif mime == "application/pdf" or (mime.startswith("text/") and source["type"] == "url"):
        kind = "document"
    elif mime.startswith("text/"):
        return {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": _decoded(source["data"])},
        }
    else:
        raise BadRequest(f"data of type {mime!r} cannot be sent to another provider's model")
    return {"type": kind, "source": {**source, "media_type": mime} if source["type"] == "base64" else source}


def standard(data: str) -> str:
    """Base64 in the standard alphabet: Google's SDKs write the other one."""
    return data.replace("-", "+").replace("_", "/")


def _decoded(data: str) -> str:
    return base64.b64decode(data + "=" * (-len(data) % 4)).decode("utf-8", "replace")
