"""Hub conversations for the tests of writers: one for each hard case, told in Anthropic's words."""

from __future__ import annotations

from typing import Any

from gateway.llm.dialects.protocol import Json

PNG: Json = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF: Json = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
ATTRIBUTION = "x-anthropic-billing-header: cc_version=2.1.328; cc_entrypoint=cli"
LONG_NAME = "mcp__a_rather_long_server_name__a_tool_with_a_name_of_65_letters_"
SCHEMA: Json = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}

assert len(LONG_NAME) == 65


def user(*content: Json | str) -> Json:
    return {"role": "user", "content": [text(each) if isinstance(each, str) else each for each in content]}


def assistant(*content: Json | str) -> Json:
    return {
        "role": "assistant",
        "content": [text(each) if isinstance(each, str) else each for each in content],
    }


def system(content: str) -> Json:
    return {"role": "system", "content": content}


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def use(name: str, ident: str, **given: Any) -> Json:
    return {"type": "tool_use", "id": ident, "name": name, "input": given}


def result(ident: str, content: Any, *, failed: bool = False) -> Json:
    return {
        "type": "tool_result",
        "tool_use_id": ident,
        "content": content,
        **({"is_error": True} if failed else {}),
    }


def image(source: Json = PNG) -> Json:
    return {"type": "image", "source": source}


def document(source: Json = PDF, **more: Any) -> Json:
    return {"type": "document", "source": source, **more}


def thinking(words: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool(name: str = "get", **more: Any) -> Json:
    return {"name": name, "description": "Gets.", "input_schema": SCHEMA, **more}
