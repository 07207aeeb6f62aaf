"""Two tools instead of all: one that finds tools by what they are for, one that calls them.

An agent with sixty tools carries their definitions in every request. With `disclosure: search` it carries two, and sees a
definition when it asks for it. What it finds is what it may see, and an inner call is judged like any other.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.mcp.tables import Entry

SEARCH, CALL = "search_tools", "call_tool"
MOST, USUAL = 20, 5
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_K1, _B = 1.2, 0.75
_WEIGHTS = (("name", 3), ("title", 2), ("description", 1))

DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "name": SEARCH,
        "title": "Search tools",
        "description": "Finds tools by what they are for, and returns their definitions. Search before you call a tool.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What the tool should do, in a few words"},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
            },
            "required": ["query"],
        },
        "annotations": {"readOnlyHint": True, "idempotentHint": True},
    },
    {
        "name": CALL,
        "title": "Call a tool",
        "description": "Calls a tool that search_tools has found, with arguments that fit its inputSchema.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The tool's name, as search_tools has given it"},
                "arguments": {"type": "object", "description": "The tool's arguments"},
            },
            "required": ["name"],
        },
    },
)
RAW = b"[" + b",".join(orjson.dumps(each) for each in DEFINITIONS) + b"]"


def search(entries: Sequence[Entry], query: str, limit: int = USUAL) -> list[Entry]:
    """The entries that fit best (BM25 over names, titles, descriptions and the names in their schemas)."""
    documents = [_words(entry) for entry in entries]
    lengths = [sum(words.values()) for words in documents]
    average = sum(lengths) / len(lengths) if any(lengths) else 1.0
    having = Counter(word for words in documents for word in words)
    scored = []
    for index, (words, length) in enumerate(zip(documents, lengths, strict=True)):
        score = sum(
            _score(words[word], length / average, having[word], len(documents))
            for word in set(split(query))
            if word in words
        )
        if score > 0:
            scored.append((-score, index))
    return [entries[index] for _, index in sorted(scored)[: max(1, min(limit, MOST))]]


def _score(count: int, length: float, having: int, documents: int) -> float:
    rarity = math.log(1 + (documents - having + 0.5) / (having + 0.5))
    return rarity * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length))


def split(text: str) -> list[str]:
    return [_stem(word.lower()) for word in _WORD.findall(text)]


def _stem(word: str) -> str:
    """`files`, `reads`, `reading` are found by `file` and `read`."""
    for ending in ("ing", "ies", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending) + ("y" if ending == "ies" else "")
    return word


def _words(entry: Entry) -> Counter[str]:
    words: Counter[str] = Counter()
    for field, weight in _WEIGHTS:
        for word in split(str(entry.tree.get(field) or "")):
            words[word] += weight
    for word in split(entry.server):
        words[word] += 1
    schema = entry.tree.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        described = each.get("description") if isinstance(each, Mapping) else ""
        for word in (*split(name), *split(str(described or ""))):
            words[word] += 1
    return words


def found(entries: Sequence[Entry]) -> dict[str, Any]:
    """The result of a search."""
    tools = [orjson.loads(entry.raw) for entry in entries]
    text = orjson.dumps(tools).decode() if tools else "No tool fits. Try other words."
    return {"content": [{"type": "text", "text": text}], "isError": False}
