"""What OpenAI's two wires share: data URLs, schemas they accept, effort, who the user is."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from gateway.errors import BadRequest
from gateway.llm.dialects.protocol import Json

_DATA_URL = re.compile(r"data:([^;,]+)(?:;[^,]*)?;base64,", re.I)
_COMBINATORS = ("anyOf", "oneOf", "allOf")
EMPTY_SCHEMA: Json = {"type": "object", "properties": {}}


def data_url(source: Json, where: str) -> str:
    """A hub image source as a URL that OpenAI takes."""
    if source.get("type") == "base64":
        return f"data:{source['media_type']};base64,{source['data']}"
    if source.get("type") == "url":
        return str(source["url"])
    raise BadRequest(f"{where}: a source of type {source.get('type')!r} cannot be sent to this provider")


def source_of(url: str) -> Json:
    """The hub source of an image URL or data URL."""
    if match := _DATA_URL.match(url):
        return {"type": "base64", "media_type": match[1].lower(), "data": url[match.end() :]}
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise BadRequest("an image must be an http(s) URL or a base64 data URL")


def document_of(file: Json) -> Json:
    """A hub document of OpenAI's file part (`file_data`, or `file_url`)."""
    title = {"title": file["filename"]} if file.get("filename") else {}
    if file.get("file_data"):
        source = source_of(file["file_data"])
        return {"type": "document", "source": source, **title}
    if file.get("file_url"):
        return {"type": "document", "source": {"type": "url", "url": file["file_url"]}, **title}
    raise BadRequest("file: only file_data or file_url can be translated; an uploaded file's id cannot")


def document_text(block: Json) -> str | None:
    """The text of a document whose source is text or blocks of text; None where it is a file."""
    source = block.get("source") or {}
    if source.get("type") == "text":
        return str(source["data"])
    if source.get("type") == "content":
        content = source["content"]
        return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
    return None


def shown_text(block: Json) -> str | None:
    """What OpenAI's wires are sent as text; None of a block that is something else there."""
    kind = block.get("type")
    if kind == "text":
        return str(block["text"])
    if kind == "document":
        return document_text(block)
    if kind == "search_result":
        body = "\n".join(part.get("text", "") for part in block.get("content") or [])
        return f"{block.get('title', '')} ({block.get('source', '')})\n{body}"
    return f"Tool: {block.get('tool_name')}" if kind == "tool_reference" else None


def parts_of(content: Any, read: Callable[[Json], Json | None]) -> list[Json]:
    """The hub blocks of OpenAI content: nothing, a string, or parts that `read` knows."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [made for part in content if (made := read(part))]


def parameters(schema: Any) -> Json:
    """A tool's schema as OpenAI accepts one: an object at the top, with properties and without combinators there."""
    if not isinstance(schema, dict) or not schema:
        return EMPTY_SCHEMA
    if (
        schema.get("type") == "object"
        and "properties" in schema
        and not any(c in schema for c in _COMBINATORS)
    ):
        return schema if not {"enum", "not"} & schema.keys() else _plain(schema)
    branches = [b for c in _COMBINATORS for b in schema.get(c) or () if isinstance(b, dict)]
    merged = _plain(schema) | {"type": "object"}
    merged["properties"] = {
        name: value
        for branch in (*branches, schema)
        for name, value in (branch.get("properties") or {}).items()
    }
    if needed := _needed(schema):
        merged["required"] = needed
    return merged


def _plain(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if key not in (*_COMBINATORS, "enum", "not")}


def _needed(schema: Json) -> list[str]:
    """What every branch asks for."""
    needed = list(schema.get("required") or ())
    for branch in schema.get("allOf") or ():
        needed += branch.get("required") or ()
    for combinator in ("anyOf", "oneOf"):
        sets = [set(branch.get("required") or ()) for branch in schema.get(combinator) or ()]
        needed += sorted(set.intersection(*sets)) if sets else ()
    return list(dict.fromkeys(needed))


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def choice_of(hub: Json, named: Callable[[str], Json]) -> Json:
    """The fields for the hub's `tool_choice`; `named` writes the choice of one tool."""
    choice = hub.get("tool_choice") or {}
    out: Json = {}
    if kind := choice.get("type"):
        out["tool_choice"] = named(choice["name"]) if kind == "tool" else _CHOICES.get(kind)
    if choice.get("disable_parallel_tool_use"):
        out["parallel_tool_calls"] = False
    return out


def function_of(function: Json, name: str) -> Json:
    """The hub tool of a function, as either wire describes it."""
    tool: Json = {"name": name, "input_schema": function.get("parameters") or EMPTY_SCHEMA}
    if function.get("description"):
        tool["description"] = function["description"]
    if function.get("strict"):
        tool["strict"] = True
    return tool


def strictable(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object closed, every property required."""
    if isinstance(schema, list):
        return all(strictable(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        names = set(properties or ())
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
        return all(strictable(value) for value in (properties or {}).values())
    return all(
        strictable(value) for key, value in schema.items() if isinstance(value, dict | list) and key != "enum"
    )


def effort(hub: Json, quirks: frozenset[str]) -> str | None:
    """The effort that the hub's `thinking` and `output_config` ask for; None leaves it to the model.

    Quirks: `effort_none` and `effort_minimal` (what the model offers for no thinking), `effort_xhigh`, `effort_max`.
    """
    thinking = hub.get("thinking") or {}
    asked = (hub.get("output_config") or {}).get("effort")
    if thinking.get("type") == "disabled":
        return next((name for name in ("none", "minimal") if f"effort_{name}" in quirks), "low")
    if asked is None and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens") or 0
        asked = "high" if budget >= 4096 else "medium" if budget >= 2048 else "low"
    if asked == "max" and "effort_max" not in quirks:
        asked = "xhigh"
    if asked == "xhigh" and "effort_xhigh" not in quirks:
        asked = "high"
    return asked


def thinking_of(asked: str | None) -> Json:
    """The hub fields for an OpenAI effort."""
    if asked is None:
        return {}
    if asked == "none":
        return {"thinking": {"type": "disabled"}}
    level = "low" if asked == "minimal" else asked
    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": level}}


def identity(hub: Json) -> str | None:
    """The hub's user id, hashed: OpenAI allows 64 characters and wants no personal data."""
    user = (hub.get("metadata") or {}).get("user_id")
    return sha256(user.encode()).hexdigest() if isinstance(user, str) and user else None
