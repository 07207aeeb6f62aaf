"""How many tokens a prompt has, before anybody counted them.

No tokenizer: the bytes of what the model is given are counted by kind (letters, digits, …) and weighed, a different way for
each family of models.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

import msgspec

from gateway.limits.estimate_families import Weights, family
from gateway.limits.estimate_images import image_size
from gateway.limits.estimate_words import Words

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode
_FOUND = re.compile(rb'"tool_name":\s*("[^"]+")')
_DEFERRED = re.compile(rb'"defer_loading":\s*true')

_SMALL = string.ascii_lowercase.encode()
_CAPITALS = string.ascii_uppercase.encode()
_DIGITS = string.digits.encode()
_MARKS = string.punctuation.encode()
_HIGH = bytes(range(128, 256))
_WIDE = bytes(range(0xE3, 0xEE))  # what a character of Chinese, Japanese or Korean begins with
_WORD = 16  # letters; more in a row are no word

_WORDS = (
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "messages",
    "input",
    "contents",
    "prompt",
)
_TOOLS = frozenset({"tools", "toolConfig", "tool_config", "functions"})
_SHAPES = frozenset({"response_format", "text", "output_config", "output_format", "outputConfig", "generationConfig",
                     "additionalModelRequestFields"})  # fmt: skip
_THINKING = frozenset({"thinking", "reasoning", "additionalModelRequestFields"})
_DATED = b"_20"  # in the kind of a tool that a provider defines
_TOOL = (
    b'"input_schema":',
    b'"inputSchema":',
    b'"parameters":',
    b'"parameters_json_schema":',
    b'"parametersJsonSchema":',
)


def prompt(body: bytes, model: str = "", *, provider: str = "") -> int:
    """The prompt tokens of a request's JSON, whatever its dialect. Vertex counts otherwise than Gemini's own API."""
    try:
        fields = _fields(body)
        words = _words(fields)
    except (ValueError, RecursionError):
        return len(body) // 4
    weights = family(model, provider, contents="contents" in fields)
    tokens = (
        _text(words, weights) + weights.base + weights.message * words.messages + weights.call * words.calls
    )
    tokens += weights.thought * words.signed + _pictures(words, weights)
    return max(1, int(tokens + _toolbox(fields, weights) + _extra(fields, weights)))


def read(body: bytes) -> Words:
    """What the model is given of a request's JSON."""
    return _words(_fields(body))


def _words(fields: dict[str, msgspec.Raw]) -> Words:
    words = Words()
    for name in _WORDS:
        if name in fields:
            words.read(_any(fields[name]))
    return words


def _text(words: Words, weights: Weights) -> float:
    text = "".join(words.texts + words.thoughts + ([] if weights.drops else words.tagged))
    data = text.encode(errors="surrogatepass")
    rest = data.translate(None, _SMALL)  # most of a text goes here, and need not be walked through again
    size = len(rest)
    upper, digits, marks = (size - len(rest.translate(None, kind)) for kind in (_CAPITALS, _DIGITS, _MARKS))
    high = wide = 0
    if not text.isascii():
        high, wide = (size - len(rest.translate(None, kind)) for kind in (_HIGH, _WIDE))
    spaces, lines = rest.count(b" "), rest.count(b"\n")
    lower = len(data) - upper - digits - marks - high - spaces - lines
    if spaces:
        spaces -= data.count(b"  ") + data.count(b"    ")
    if lines:
        lines -= data.count(b"\n\n") // 2
    run = lower + upper + digits - _WORD * (spaces + marks + lines + len(words.texts))
    tokens = (weights.lower * lower + weights.upper * upper + weights.digit * digits + weights.mark * marks
              + weights.high * (high - 3 * wide) + weights.wide * wide + weights.space * spaces + weights.line * lines + weights.run * max(0, run))  # fmt: skip
    return tokens * weights.more


def _pictures(words: Words, weights: Weights) -> float:
    tokens = 0.0
    for data, detail in words.pictures:
        if detail == "low" and weights.low:
            tokens += weights.low
        elif (size := image_size(data.encode())) is not None:
            tokens += weights.picture(*size)
    return tokens


def _toolbox(fields: dict[str, msgspec.Raw], weights: Weights) -> float:
    """What tools add: their definitions, without those that the model only sees when it looks for them."""
    tools = _loaded(fields)
    if len(tools) <= len(b"null"):
        return 0.0
    described = _described(tools)
    tokens = (weights.described * described + weights.defined * (len(tools) - described)) * weights.more
    tokens += weights.forced if weights.forced and _is_forced(fields) else weights.toolbox
    if "messages" in fields:
        tokens += weights.chat
    if weights.tool or weights.field:
        number = sum(map(tools.count, _TOOL)) or 1
        tokens += weights.tool * number + weights.field * max(0, tools.count(b'"type"') - number)
    if weights.own and _DATED in tools:
        tokens += sum(more for kind, more in weights.own if kind in tools)
    return tokens


def _described(tools: bytes) -> int:
    """The bytes of all descriptions."""
    size = 0
    for part in tools.split(b'"description":')[1:]:
        end = part.find(b'"', 2)
        while end > 0 and part[end - 1 : end] == b"\\":
            end = part.find(b'"', end + 1)
        size += max(0, end - 2)
    return size


def _loaded(fields: dict[str, msgspec.Raw]) -> bytes:
    """The tools without those that the model only sees when it looks for them, and has not found yet."""
    tools = _section(fields, _TOOLS)
    if b'"defer_loading"' not in tools or "tools" not in fields:
        return tools
    try:
        listed = [bytes(tool) for tool in _list(fields["tools"])]
    except msgspec.DecodeError:
        return tools
    found = _FOUND.findall(bytes(fields.get("messages", b"")))
    return b",".join(
        tool for tool in listed if not _DEFERRED.search(tool) or any(name in tool for name in found)
    )


def _is_forced(fields: dict[str, msgspec.Raw]) -> bool:
    if "tool_choice" in fields:
        choice = bytes(fields["tool_choice"])
    else:
        choice = bytes(fields.get("toolConfig", b"")).rpartition(b'"toolChoice"')[2]
    return bool(choice) and b"auto" not in choice and b"none" not in choice


def _extra(fields: dict[str, msgspec.Raw], weights: Weights) -> float:
    """What is asked for beside the words: an answer by a schema, thinking."""
    shapes, tokens = _section(fields, _SHAPES), 0.0
    if weights.shape and b"chema" in shapes:
        tokens += weights.shape * weights.more * len(shapes) + weights.shaped
    if weights.budgeted and b'"task_budget"' in shapes:
        tokens += weights.budgeted
    if weights.thinking and (thinking := _section(fields, _THINKING)):
        if b'"adaptive"' in thinking:
            tokens += weights.adaptive
        elif b"budget_tokens" in thinking or ("reasoning" in fields and b"none" not in thinking):
            tokens += weights.thinking
    return tokens


def _section(fields: dict[str, msgspec.Raw], names: Iterable[str]) -> bytes:
    found = [bytes(fields[name]) for name in fields if name in names]
    return found[0] if len(found) == 1 else b"".join(found)
