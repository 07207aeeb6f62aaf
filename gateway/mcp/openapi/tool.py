"""One operation of a document: what of its parameters and its body is asked of an agent, and how it is put into a request."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.mcp.openapi import naming
from gateway.mcp.openapi.document import VARIABLE, Document, Json, LeftOut, Wrong
from gateway.mcp.openapi.schemas import Schemas, written

Place = Literal["path", "query", "header", "cookie"]
LARGEST = 64 * 1024  # bytes of one tool's definition
BODY = "body"
_TITLE, _DESCRIPTION = 120, 1024  # characters
_STYLES: Mapping[str, frozenset[str]] = {
    "path": frozenset({"simple"}),
    "query": frozenset({"form", "spaceDelimited", "pipeDelimited", "deepObject"}),
    "header": frozenset({"simple"}),
    "cookie": frozenset({"form"}),
}
HINTS: Mapping[str, Json] = {
    "get": {"readOnlyHint": True},
    "head": {"readOnlyHint": True},
    "put": {"readOnlyHint": False, "idempotentHint": True},
    "post": {"readOnlyHint": False},
    "patch": {"readOnlyHint": False},
    "delete": {"readOnlyHint": False, "destructiveHint": True},
}
# Headers that belong to the credential, to the body, to the connection, or to the gateway.
_NOT_ASKED = frozenset({"accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
                        "content-type", "cookie", "expect", "host", "keep-alive", "proxy-authorization", "te", "traceparent",
                        "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent"})  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_JSON = re.compile(r"\*/\*|application/\*|application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
_ASTRAY = re.compile(r"[?#\\]|/\.\.?(?=/|$)")  # what no path of a document may hold
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of an operation's, and where in a request its value goes."""

    argument: str  # what the tool calls it
    name: str
    place: Place
    required: bool
    style: str
    explode: bool
    as_json: bool
    schema: Any
    description: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a request of an operation carries, as one argument."""

    media: str
    required: bool
    schema: Any
    fields: Mapping[str, Parameter]  # of a form, those that the document says how to write

    @property
    def is_form(self) -> bool:
        return self.media == FORM


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, with the tool that stands for it."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Body | None
    tool: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation as the document says it, at its place there."""

    where: str
    name: str
    method: str
    path: str
    item: Mapping[str, Any]
    said: Mapping[str, Any]


class Reader:
    """Reads one operation at a time. Raises Wrong and LeftOut."""

    def __init__(self, document: Document, *, supplied: Collection[str], based: bool) -> None:
        self._document = document
        self._schemas = Schemas(document)
        self._not_asked = _NOT_ASKED.union(supplied)
        self._own_cookies = "cookie" in supplied
        self._based = based

    def operation(self, draft: Draft, name: str) -> Operation:
        if not self._based and (draft.said.get("servers") or draft.item.get("servers")):
            raise LeftOut("it has servers of its own, and only one base URL is asked")
        references: set[str] = set()
        body = self._body(draft, references)
        parameters = self._parameters(draft, references, [BODY] if body else [])
        _check_path(draft.path, parameters)
        tool = self._tool(draft, name, parameters, body, references)
        return Operation(draft.method.upper(), draft.path, parameters, body, tool)

    def _parameters(self, draft: Draft, references: set[str], reserved: list[str]) -> tuple[Parameter, ...]:
        """Those of the path, and the operation's own, which stand for a path's of the same name."""
        said: dict[tuple[str, str], Mapping[str, Any]] = {}
        for listed in (draft.item.get("parameters", ()), draft.said.get("parameters", ())):
            if not isinstance(listed, Sequence) or isinstance(listed, str):
                raise Wrong("parameters must be a list")
            for each in map(self._document.object, listed):
                name, place = each.get("name"), str(each.get("in"))
                if not isinstance(name, str) or not name or place not in _STYLES:
                    raise Wrong(f"a parameter needs a name, and in: {', '.join(_STYLES)}")
                said[name.lower() if place == "header" else name, place] = each
        asked = [each for (name, place), each in said.items() if self._is_asked(name, place)]
        arguments = naming.arguments([(each["name"], each["in"]) for each in asked], reserved=reserved)
        return tuple(
            self._parameter(each, argument, references)
            for argument, each in zip(arguments, asked, strict=True)
        )

    def _is_asked(self, name: str, place: str) -> bool:
        """Not what the gateway says itself: an argument would be lost."""
        if place == "cookie":
            return not self._own_cookies
        return place != "header" or name not in self._not_asked

    def _parameter(self, said: Mapping[str, Any], argument: str, references: set[str]) -> Parameter:
        name, place = said["name"], said["in"]
        if place in ("header", "cookie") and not _TOKEN.fullmatch(name):
            raise LeftOut(f"{name!r} cannot be the name of a {place}")
        style = str(said.get("style", "form" if place in ("query", "cookie") else "simple"))
        if style not in _STYLES[place]:
            raise LeftOut(f"the parameter {name!r} has the style {style!r}")
        content = said.get("content")
        media = next(iter(content), "") if isinstance(content, Mapping) else ""
        if content is not None and not _JSON.fullmatch(_essence(media)):
            raise LeftOut(f"the parameter {name!r} is written as {media or 'nothing'}")
        schema = said.get("schema", True) if content is None else _schema(content[media])
        return Parameter(
            argument,
            name,
            place,
            place == "path" or said.get("required") is True,
            style,
            explode=said.get("explode", style == "form") is True,
            as_json=content is not None,
            schema=self._schemas.convert(schema, references),
            description=_text(said.get("description")),
        )

    def _body(self, draft: Draft, references: set[str]) -> Body | None:
        if "requestBody" not in draft.said or draft.method in ("get", "head"):
            return None
        said = self._document.object(draft.said["requestBody"])
        content = said.get("content")
        if not isinstance(content, Mapping) or not content:
            raise Wrong("requestBody: content is missing")
        media = next((each for each in content if _JSON.fullmatch(_essence(each))), None)
        media = next((each for each in content if _essence(each) == FORM), None) if media is None else media
        if media is None:
            raise LeftOut(f"its body is {', '.join(map(str, content))}; JSON and forms can be sent")
        essence = _essence(media)
        named = "application/json" if essence.endswith("*") else essence
        schema = self._schemas.convert(_schema(content[media]), references)
        return Body(named, said.get("required") is True, schema, self._fields(content[media]))

    def _fields(self, media: Any) -> dict[str, Parameter]:
        said = media.get("encoding") if isinstance(media, Mapping) else None
        said = said if isinstance(said, Mapping) else {}
        return {name: self._field(name, each) for name, each in said.items() if isinstance(each, Mapping)}

    def _field(self, name: str, said: Mapping[str, Any]) -> Parameter:
        written = {key: said[key] for key in ("style", "explode") if key in said}
        if not written and _JSON.fullmatch(_essence(said.get("contentType"))):
            written = {"content": {"application/json": {}}}
        return self._parameter({"name": name, "in": "query", **written}, BODY, set())

    def _tool(
        self,
        draft: Draft,
        name: str,
        parameters: Sequence[Parameter],
        body: Body | None,
        references: set[str],
    ) -> Json:
        properties = {each.argument: _described(each.schema, each.description) for each in parameters}
        required = [each.argument for each in parameters if each.required]
        if body is not None:
            properties[BODY] = _described(body.schema, "The body of the request.")
            required += [BODY] if body.required else []
        schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        schema |= {"required": required} if required else {}
        schema |= {"$defs": found} if (found := self._schemas.definitions(references, most=LARGEST)) else {}
        tool = {**_words(draft, name), "inputSchema": schema, "annotations": HINTS[draft.method]}
        if (size := written(tool)) > LARGEST:
            raise LeftOut(f"its definition has {size} bytes, and {LARGEST} are the most")
        return tool


def _check_path(path: str, parameters: Sequence[Parameter]) -> None:
    if _ASTRAY.search(path):
        raise LeftOut("its path holds ?, #, a backslash or the steps . and ..")
    named = set(VARIABLE.findall(path))
    given = {each.name for each in parameters if each.place == "path"}
    if named != given:
        raise Wrong(f"{{{min(named ^ given)}}} must stand in the path and among its parameters")


def _words(draft: Draft, name: str) -> Json:
    summary, description = _text(draft.said.get("summary")), _text(draft.said.get("description"))
    told = description or summary or f"{draft.method.upper()} {draft.path}"
    told = "Deprecated. " + told if draft.said.get("deprecated") is True else told
    title = {"title": _cut(summary, _TITLE)} if summary else {}
    return {"name": name, **title, "description": _cut(told, _DESCRIPTION)}


def _schema(media: Any) -> Any:
    return media.get("schema", True) if isinstance(media, Mapping) else True


def _described(schema: Any, description: str) -> Any:
    """A schema says itself what it is, unless it is only a reference."""
    if schema is True:
        schema = {}
    if not isinstance(schema, dict) or not description or "description" in schema:
        return schema
    return {**schema, "description": _cut(description, _DESCRIPTION)}


def _essence(media: Any) -> str:
    return str(media).partition(";")[0].strip().lower()


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
