"""Responses request -> hub request."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from gateway.errors import BadRequest
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.openai_content import document_of, parts_of, source_of, thinking_of
from gateway.llm.dialects.openai_responses.reasoning import block_of
from gateway.llm.dialects.openai_responses.tools import CALLS, Kinds, hub_name, read_call, read_tools
from gateway.llm.dialects.protocol import Json, Request, Target

_CARRIED = {
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens", "reasoning",
    "text", "store", "stream", "include", "temperature", "top_p", "user", "safety_identifier", "stream_options",
    "previous_response_id", "conversation", "background", "prompt",
}  # fmt: skip
_STATEFUL = ("previous_response_id", "conversation", "prompt")
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_RESULTS = ("function_call_output", "custom_tool_call_output", *(f"{call}_output" for call in CALLS))
_SERVER_CALLS = ("web_search_call", "tool_search_call", "mcp_list_tools")
ECHOED = (
    "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens", "max_tool_calls", "reasoning",
    "text", "temperature", "top_p", "truncation", "metadata", "user", "safety_identifier", "prompt_cache_key",
    "top_logprobs", "service_tier",
)  # fmt: skip


@shaped("OpenAI Responses")
def read_request(body: Json, target: Target) -> Request:
    _stateless(body)
    losses = [key for key, value in body.items() if key not in _CARRIED and value not in (None, {}, [])]
    kinds: Kinds = {}
    hub: Json = {"model": body.get("model") or target.model}
    if instructions := body.get("instructions"):
        hub["system"] = [{"type": "text", "text": instructions}]
    tools = list(body.get("tools") or ())
    hub["messages"] = _messages(body.get("input"), hub, tools, losses)
    if made := read_tools(tools, kinds, losses):
        hub["tools"] = made
        hub |= _choice(body)
    hub |= _settings(body, losses)
    said = {key: body[key] for key in ECHOED if body.get(key) is not None}
    # Written here, where what cannot be is the client's mistake, and by msgspec, whose numbers may be of any length.
    echo = {key: orjson.Fragment(msgspec.json.encode(value)) for key, value in said.items()}
    return Request(
        hub=hub,
        model=hub["model"],
        stream=bool(body.get("stream")),
        count=target.count,
        losses=losses,
        wire={"echo": echo, "kinds": kinds},
    )


def _stateless(body: Json) -> None:
    for field in _STATEFUL:
        if body.get(field):
            raise BadRequest(
                f"{field}: conversations are not kept here; send the whole input and store: false"
            )
    if body.get("background"):
        raise BadRequest("background: a response is generated while the client waits")


def _settings(body: Json, losses: list[str]) -> Json:
    out: Json = thinking_of((body.get("reasoning") or {}).get("effort"))
    if most := body.get("max_output_tokens"):
        out["max_tokens"] = most
    out |= {key: body[key] for key in ("temperature", "top_p") if body.get(key) is not None}
    text = body.get("text") or {}
    wanted = text.get("format") or {}
    if wanted.get("type") == "json_schema":
        made = {"type": "json_schema", "schema": wanted.get("schema") or {}}
        out["output_config"] = {**out.get("output_config", {}), "format": made}
    elif wanted.get("type") == "json_object":
        losses.append("text.format")
    if text.get("verbosity"):
        losses.append("text.verbosity")
    if user := body.get("safety_identifier") or body.get("user"):
        out["metadata"] = {"user_id": user}
    return out


def _choice(body: Json) -> Json:
    choice = _chosen(body.get("tool_choice"))
    if body.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tool_choice": choice} if choice else {}


def _chosen(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, str):
        return {"type": _CHOICES.get(choice, "auto")}
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _chosen(choice.get("mode"))
    if kind in ("function", "custom"):
        return {"type": "tool", "name": hub_name(choice.get("name") or "", choice.get("namespace"))}
    if kind in CALLS.values():
        return {"type": "tool", "name": kind}
    return {"type": "auto"}


def _messages(given: Any, hub: Json, tools: list[Json], losses: list[str]) -> list[Json]:
    if isinstance(given, str):
        return [{"role": "user", "content": [{"type": "text", "text": given}]}]
    if not isinstance(given, list):
        raise BadRequest("input: a text or a list of items is needed")
    out: list[Json] = []
    for item in given:
        kind = item.get("type") or "message"
        if kind == "message":
            _message(item, out, hub)
        elif kind in ("additional_tools", "tool_search_output"):
            tools.extend(item.get("tools") or ())
        elif kind in _SERVER_CALLS:
            losses.append(f"input.{kind}")
        else:
            _turn(item, kind, out)
    return out


def _turn(item: Json, kind: str, out: list[Json]) -> None:
    """What belongs to a turn: calls and reasoning to the assistant's, results to the user's."""
    if call := read_call(item):
        _add(out, "assistant", call)
    elif kind in _RESULTS:
        _add(out, "user", _result(item, kind))
    elif kind != "reasoning":
        raise BadRequest(f"input: an item of type {kind!r} cannot be translated")
    elif (block := block_of(item)) is not None:
        _add(out, "assistant", block)


def _message(item: Json, out: list[Json], hub: Json) -> None:
    role, content = item.get("role"), parts_of(item.get("content"), _part)
    if role in ("system", "developer"):
        if out:
            out.append({"role": "system", "content": content})
        else:
            hub["system"] = [*hub.get("system", []), *content]
    elif role in ("user", "assistant"):
        _add(out, role, *content)
    else:
        raise BadRequest(f"input: the role {role!r} cannot be translated")


def _add(out: list[Json], role: str, *content: Json) -> None:
    if out and out[-1]["role"] == role:
        out[-1]["content"].extend(content)
    elif content:
        out.append({"role": role, "content": list(content)})


def _result(item: Json, kind: str) -> Json:
    output = item.get("output")
    content: Any = output
    if kind == "shell_call_output":
        content = orjson.dumps(output).decode()
    elif isinstance(output, list):
        content = parts_of(output, _part)
    elif not isinstance(output, str):
        content = "" if output is None else orjson.dumps(output).decode()
    result: Json = {
        "type": "tool_result",
        "tool_use_id": item.get("call_id") or item.get("id"),
        "content": content,
    }
    if kind == "apply_patch_call_output" and item.get("status") == "failed":
        result["is_error"] = True
    return result


def _part(part: Json) -> Json | None:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part["text"]} if part.get("text") else None
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "input_image":
        if not part.get("image_url"):
            raise BadRequest("input_image: only image_url can be translated; an uploaded file's id cannot")
        return {"type": "image", "source": source_of(part["image_url"])}
    if kind == "input_file":
        return document_of(part)
    raise BadRequest(f"input: a content part of type {kind!r} cannot be translated")
