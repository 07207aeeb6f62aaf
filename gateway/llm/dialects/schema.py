"""Tools' JSON Schemas for upstreams that understand less of JSON Schema than tool authors write.

`clean` keeps to what Gemini's `parametersJsonSchema` is known to take: what it cannot say is removed, or said in
the description. `openapi` goes further, for the older `parameters`: no references, no unions of types.
Keys under `properties` are names, whatever they look like.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from gateway.errors import BadRequest

Json = dict[str, Any]
DEPTH = 48  # deeper is hostile, not a tool's arguments

_KEEP: dict[str, type | tuple[type, ...]] = {
    "type": (str, list), "title": str, "description": str, "enum": list, "default": object, "nullable": bool, "pattern": str,
    "uniqueItems": bool, "minimum": (int, float), "maximum": (int, float), "minItems": int, "maxItems": int,
    "minLength": int, "maxLength": int, "minProperties": int, "maxProperties": int,
}  # fmt: skip
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SAY = {
    "format": "format",
    "exclusiveMinimum": "greater than",
    "exclusiveMaximum": "less than",
    "multipleOf": "multiple of",
}
_SCHEMA = ("additionalProperties", "items")
_LIST = {"anyOf": "anyOf", "oneOf": "anyOf", "prefixItems": "prefixItems"}


def clean(schema: Any) -> Json:
    """A schema for `parametersJsonSchema` or `responseJsonSchema`. The answer is shared: do not change it."""
    return _clean(_bytes(schema))


def openapi(schema: Any) -> Json:
    """A schema for the older `parameters`. The answer is shared: do not change it."""
    return _openapi(_bytes(schema))


def _bytes(schema: Any) -> bytes:
    try:
        return orjson.dumps(schema)
    except orjson.JSONEncodeError as error:
        raise BadRequest("a tool's schema is nested too deeply") from error


@lru_cache(maxsize=1024)  # a client sends the same hundred tools with every turn
def _clean(raw: bytes) -> Json:
    root = orjson.loads(raw)
    if not isinstance(root, dict):
        return {"type": "object"}
    cleaned = _Cleaner(root).root()
    cleaned.setdefault("type", "object")
    return cleaned


@lru_cache(maxsize=1024)
def _openapi(raw: bytes) -> Json:
    cleaned = _clean(raw)
    return _Flat(cleaned.get("$defs", {})).node(cleaned, ())


class _Cleaner:
    """One schema with its definitions."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._cyclic: frozenset[str] = frozenset()

    def root(self) -> Json:
        definitions = {
            name: node
            for key in ("definitions", "$defs")
            for name, node in (_dict(self._root.get(key))).items()
        }
        self._cyclic = _cycles(definitions)
        whole = self._root
        if "$ref" in whole:  # the arguments themselves must be an object in place
            whole = _dict(self._at(str(whole["$ref"])))
        cleaned = {} if "$ref" in whole else self.node(whole, 0)
        if definitions and b'"$ref"' in orjson.dumps([cleaned, definitions]):
            cleaned["$defs"] = {name: self.node(node, 1) for name, node in definitions.items()}
        return cleaned

    def node(self, node: Any, depth: int) -> Json:
        if not isinstance(node, dict) or depth > DEPTH:
            return {}  # true, false, or nonsense: anything
        if "$ref" in node:
            return self._reference(node["$ref"], depth)
        if "allOf" in node:
            node = self._merged(node, depth)
        out: Json = {key: value for key, value in node.items() if isinstance(value, _KEEP.get(key, ()))}
        if "type" in out and not _is_type(out["type"]):
            del out["type"]
        if "const" in node:
            out["enum"] = [node["const"]]
        self._children(node, out, depth)
        said = [
            f"{word}: {node[key]}"
            for key, word in _SAY.items()
            if key in node and not isinstance(node[key], bool)
        ]
        if said:
            out["description"] = " ".join(
                filter(None, (str(out.get("description", "")), f"({'; '.join(said)})"))
            )
        return out

    def _children(self, node: Json, out: Json, depth: int) -> None:
        if isinstance(node.get("properties"), dict):
            out["properties"] = {
                name: self.node(child, depth + 1) for name, child in node["properties"].items()
            }
        if isinstance(node.get("required"), list):
            out["required"] = self._required(node["required"], out.get("properties", {}))
            if not out["required"]:
                del out["required"]
        for key in _SCHEMA:
            if isinstance(node.get(key), dict):
                out[key] = self.node(node[key], depth + 1)
            elif isinstance(node.get(key), bool) and key == "additionalProperties":
                out[key] = node[key]
        if isinstance(node.get("items"), list):
            out["prefixItems"] = [self.node(child, depth + 1) for child in node["items"]]
        for key, name in _LIST.items():
            if isinstance(node.get(key), list) and node[key]:
                out[name] = [self.node(child, depth + 1) for child in node[key]]

    def _required(self, required: list[Any], properties: Json) -> list[str]:
        """Only names that exist, and none through which a type must hold itself."""
        return [
            name for name in required
            if isinstance(name, str) and (name in properties or not properties) and not self._recursive(properties.get(name))
        ]  # fmt: skip

    def _recursive(self, node: Any) -> bool:
        return bool(self._cyclic) and any(name in self._cyclic for name in _references(node))

    def _reference(self, pointer: Any, depth: int) -> Json:
        """A definition stays a reference, without siblings; a pointer elsewhere is followed; others say nothing."""
        head, _, name = str(pointer).rpartition("/")
        if head in ("#/$defs", "#/definitions") and name in _dict(self._root.get(head[2:])):
            return {"$ref": f"#/$defs/{name}"}
        target = self._at(str(pointer))
        if target is None or target is self._root:
            return {"type": "object"} if target is self._root else {}
        return self.node(target, depth + 8)  # soon at an end, should it point at itself

    def _at(self, pointer: str) -> Any:
        if not pointer.startswith("#"):
            return None
        node: Any = self._root
        for step in pointer[1:].strip("/").split("/") if pointer.strip("#/") else ():
            step = step.replace("~1", "/").replace("~0", "~")
            node = node.get(step) if isinstance(node, dict) else None
        return node

    def _merged(self, node: Json, depth: int) -> Json:
        """`allOf` as one schema: properties and requirements together, otherwise the first to say a thing."""
        whole = {key: value for key, value in node.items() if key != "allOf"}
        parts = node["allOf"] if isinstance(node["allOf"], list) else []
        for part in parts:
            if isinstance(part, dict) and "$ref" in part:
                part = self._at(str(part["$ref"]))
            if isinstance(part, dict) and depth < DEPTH:
                part = self._merged(part, depth + 8) if "allOf" in part else part
                whole = {
                    **part, **whole,
                    "properties": {**_dict(part.get("properties")), **_dict(whole.get("properties"))},
                    "required": [*_list(whole.get("required")), *_list(part.get("required"))],
                }  # fmt: skip
        return {
            key: value
            for key, value in whole.items()
            if value not in ({}, []) or key not in ("properties", "required")
        }


class _Flat:
    """Gemini's OpenAPI subset: a cleaned schema with everything in place."""

    def __init__(self, definitions: Json) -> None:
        self._definitions = definitions

    def node(self, node: Json, within: tuple[str, ...]) -> Json:
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name in within or name not in self._definitions:
                return {"type": "OBJECT"}
            return self.node(self._definitions[name], (*within, name))
        out: Json = {key: node[key] for key in ("title", "description", "pattern", "minItems", "maxItems", "minimum",
                                          "maximum", "minLength", "maxLength") if key in node}  # fmt: skip
        self._type(node, out)
        self._union(node, out, within)
        if "properties" in node:
            out["properties"] = {name: self.node(child, within) for name, child in node["properties"].items()}
            if "required" in node:
                out["required"] = node["required"]
        if out.get("type") == "ARRAY":
            out["items"] = self.node(node.get("items") or {"type": "string"}, within)
        return out

    @staticmethod
    def _type(node: Json, out: Json) -> None:
        kinds = [kind for kind in _list(node.get("type")) or [node.get("type")] if isinstance(kind, str)]
        if "null" in kinds or node.get("nullable"):
            out["nullable"] = True
        kinds = [kind for kind in kinds if kind != "null"]
        if kinds:
            out["type"] = kinds[0].upper()
        elif "properties" in node:
            out["type"] = "OBJECT"
        elif "anyOf" not in node:
            out["type"] = "STRING"
        strings = [value for value in _list(node.get("enum")) if isinstance(value, str) and value]
        if strings:
            out["type"], out["enum"] = "STRING", strings

    def _union(self, node: Json, out: Json, within: tuple[str, ...]) -> None:
        branches = [branch for branch in _list(node.get("anyOf")) if branch.get("type") != "null"]
        if len(branches) < len(_list(node.get("anyOf"))):
            out["nullable"] = True
        if len(branches) == 1:
            only = self.node(branches[0], within)
            out.update(
                {
                    key: value
                    for key, value in only.items()
                    if key not in ("description", "nullable") or key not in out
                }
            )
        elif branches:
            out["anyOf"] = [self.node(branch, within) for branch in branches]


def _is_type(value: Any) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(kind, str) and kind in _TYPES for kind in kinds)


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _references(node: Any) -> list[str]:
    """The names of all definitions that a schema refers to, in it or below."""
    found, stack = [], [node]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                found.append(each["$ref"].rpartition("/")[2])
            stack.extend(each.values())
        elif isinstance(each, list):
            stack.extend(each)
    return found


def _cycles(definitions: Json) -> frozenset[str]:
    """The definitions that can be reached from themselves."""
    edges = {name: set(_references(node)) & definitions.keys() for name, node in definitions.items()}
    return frozenset(name for name in edges if name in _reachable(name, edges))


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = list(edges[start])
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack.extend(edges[name])
    return seen
