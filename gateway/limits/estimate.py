"""How many tokens a prompt has, before anybody counted them.

No tokenizer: the request's bytes are counted by kind (letters, digits, …) and weighed, a different way for each family of
models; figures from recorded usage, see docs/limits.md. The sections of the JSON are told apart without parsing them.
"""

from __future__ import annotations

import base64
import re
import string
import struct
from collections.abc import Iterable
from math import ceil

import msgspec
from msgspec import Struct
from msgspec.structs import replace

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_DEFERRED = re.compile(rb'"defer_loading":\s*true')

_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_HIGH = bytes(range(128, 256))
_JSON = b'{}[]":,'
# Letters that the JSON around a message (role, content) and around a part of it (type, text) adds to those counted.
_OF_MESSAGE, _OF_PART = 17, 12

_WORDS = frozenset({"messages", "system", "input", "instructions", "contents", "systemInstruction", "system_instruction", "prompt"})  # fmt: skip
_TOOLS = frozenset({"tools", "toolConfig", "tool_config", "functions"})
_SHAPES = frozenset({"response_format", "text", "output_config", "output_format", "outputConfig", "generationConfig",
                     "additionalModelRequestFields"})  # fmt: skip
ENCODED = re.compile(rb'"(?:data:[\w/+.-]+;base64,)?([A-Za-z0-9+/_-]{80,}={0,2})"')
_DESCRIPTION = re.compile(rb'"description":\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_CALLS = (
    b'"arguments":',
    b'"functionCall":',
    b'"functionResponse":',
    b'"function_call":',
    b'"function_response":',
)
_ID = re.compile(rb'"(?:id|call_id|tool_call_id)":\s*"[^"\\]*",?')
_SIGNATURE = re.compile(rb'"thought_?[sS]ignature":\s*"([^"\\]*)",?')
_HEAD = 64 * 1024  # of an image, as much is looked at to find its size
_UNKNOWN = (1024, 1024)
_PLAIN = bytes.maketrans(b"-_", b"+/")


class Weights(Struct, frozen=True):
    """Tokens for each byte of a kind, and for each thing that a provider adds."""

    letters: float
    digits: float
    spaces: float  # of several in a row about one counts
    high: float  # not ASCII
    others: float  # punctuation
    escapes: float  # line breaks, as JSON writes them
    base: float
    message: float
    described: float  # a byte of what the tools' definitions say in words
    tools: float  # any other byte of them
    toolbox: float  # that there are any
    shape: float  # a byte of the answer's schema
    image: float = 0.0  # a pixel
    flat_image: float = 0.0  # each, whatever its size
    tile: float = 0.0  # of an image: 512 pixels square, after it was made to fit
    call: float = 0.0  # a tool's call or its result; where it is said, their ids are not counted
    thought: float = 0.0  # a byte of a signature, which stands for the thoughts that it signs


_CLAUDE = Weights(0.2, 0.95, 0.11, 0.55, 0.88, 0.54, 8, 2.1, 0.25, 0.25, 460, 0.32, 1 / 750)
_GPT = Weights(0.13, 0.36, 0.56, 0.4, 0.68, 0.73, 6.5, 4, 0.195, 0.062, 12, 0.137, 1.55 / 1024, call=3)
_GPT_TILED = replace(
    _GPT, image=0.0, flat_image=85, tile=170
)  # of 4o, 4.1 and the o models, but for their small ones
_GPT_5 = replace(_GPT, toolbox=93)
_GPT_NANO = replace(_GPT, image=2.46 / 1024)
_GPT_OSS = replace(_GPT, base=66, toolbox=40)
_GEMINI = Weights(0.09, 1.08, 0.64, 0.5, 0.94, 0.6, 1.3, 0, 0.24, 0.146, 0, 0.0, flat_image=258, call=7)
_GEMINI_2_0 = replace(_GEMINI, described=0.17, tools=0.03, call=0.6)
_GEMINI_3 = replace(_GEMINI, flat_image=1100, thought=0.197)
_GEMINI_3_VERTEX = replace(_GEMINI_2_0, flat_image=1100)
_OTHER = Weights(0.2, 0.7, 0.1, 0.5, 0.8, 0.7, 4, 2, 0.25, 0.25, 20, 0.1, 1 / 750)
_LLAMA_4 = replace(_OTHER, toolbox=650, image=4.1e-3)
_NOVA = replace(_OTHER, toolbox=840, image=3.8e-3)
_LLAMA = replace(_OTHER, base=40)
_DEEPSEEK_4 = replace(_OTHER, base=84, toolbox=200)
_GLM = replace(_OTHER, base=14, toolbox=90)
_QWEN = replace(_OTHER, base=14, toolbox=120)
# The first that is found in the model's name; then by the shape of the request.
_FAMILIES = (("claude", _CLAUDE), ("nano", _GPT_NANO), ("gpt-oss", _GPT_OSS), ("gpt-5", _GPT_5), ("gpt-4.1-mini", _GPT), ("gpt", _GPT_TILED), ("gemini-3", _GEMINI_3),
             ("gemini-2.0", _GEMINI_2_0), ("gemini", _GEMINI), ("gemma", _GEMINI), ("nova", _NOVA), ("llama-4", _LLAMA_4),
             ("llama-3", _LLAMA), ("llama3.3", _LLAMA), ("deepseek-v4", _DEEPSEEK_4), ("glm", _GLM), ("qwen3", _QWEN), ("qwen-3", _QWEN))  # fmt: skip
_O_MODELS = re.compile(r"(?:.*/)?o\d")
_NEWER_CLAUDE = re.compile(r"opus-4[-.][789]|opus-5|sonnet-5|haiku-5|fable|mythos")
_NEWER = 1.39  # their tokenizer makes so many more
_THINKING = 28.0  # what is added for an older Claude that is to think
_SEARCHING = 230.0  # what is added for a Claude that may look for tools
_SHAPED = 110.0  # what is added for a Claude that is to answer by a schema


def prompt(body: bytes, model: str = "", *, provider: str = "") -> int:
    """The prompt tokens of a request's JSON, whatever its dialect. Vertex counts otherwise than Gemini's own API."""
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(body) // 4
    words, tools, shapes = _section(fields, _WORDS), _loaded(fields), _section(fields, _SHAPES)
    name, shaped = model.lower(), b"chema" in shapes
    weights = _family(name, fields)
    if weights is _GEMINI_3 and "vertex" in provider:
        weights = _GEMINI_3_VERTEX
    times = _NEWER if weights is _CLAUDE and _NEWER_CLAUDE.search(name) else 1.0
    words, thoughts = _without_ids(words, weights) if weights.call else (words, 0.0)
    words, images = _without_images(words, weights)
    tokens = _text(words, weights) * times + weights.base + thoughts + images
    if tools:
        tokens += weights.toolbox + weights.tools * times * len(tools)
        if more := weights.described - weights.tools:
            tokens += more * times * sum(map(len, _DESCRIPTION.findall(tools)))
    if shaped:
        tokens += weights.shape * times * len(shapes)
    return max(1, int(tokens + _extra(name, body, shaped=shaped)))


def _section(fields: dict[str, msgspec.Raw], names: Iterable[str]) -> bytes:
    found = [bytes(fields[name]) for name in fields if name in names]
    return found[0] if len(found) == 1 else b"".join(found)


def _loaded(fields: dict[str, msgspec.Raw]) -> bytes:
    """The tools' definitions without those that the model only sees when it looks for them."""
    tools = _section(fields, _TOOLS)
    if b'"defer_loading"' not in tools or "tools" not in fields:
        return tools
    try:
        listed = _list(fields["tools"])
    except msgspec.DecodeError:
        return tools
    return b",".join(bytes(tool) for tool in listed if not _DEFERRED.search(tool))


def _family(name: str, fields: dict[str, msgspec.Raw]) -> Weights:
    for part, weights in _FAMILIES:
        if part in name:
            return weights
    if _O_MODELS.match(name):
        return _GPT_TILED
    return _GEMINI if "contents" in fields else _OTHER


def _extra(name: str, body: bytes, *, shaped: bool) -> float:
    """What a family adds that is in no byte of the request."""
    if "claude" in name:
        thinks = b'"budget_tokens"' in body or (b'"reasoning":{' in body and b"none" not in body)
        return _THINKING * thinks + _SHAPED * shaped + _SEARCHING * (b'"tool_search_tool_' in body)
    return 0.0


def _text(words: bytes, weights: Weights) -> float:
    size, messages = len(words), words.count(b'"role":')
    letters, digits, quotes = (size - len(words.translate(None, kind)) for kind in (_LETTERS, _DIGITS, _JSON))
    high = 0 if words.isascii() else size - len(words.translate(None, _HIGH))
    spaces, escapes = words.count(b" "), 0
    others = size - letters - digits - high - quotes - spaces
    spaces -= words.count(b"  ") + words.count(b"    ")
    letters -= messages * _OF_MESSAGE + words.count(b'"text":') * _OF_PART
    if b"\\" in words:
        escapes, coded = words.count(b"\\n"), words.count(b"\\u")
        # A coded letter is six bytes that stand for two.
        letters, digits, others, high = (
            letters - 2 * coded,
            digits - 3 * coded,
            others - coded,
            high + 2 * coded,
        )
    return (weights.letters * max(0, letters) + weights.digits * digits + weights.spaces * spaces + weights.high * high
            + weights.others * others + weights.escapes * escapes + weights.message * messages)  # fmt: skip


def _without_ids(words: bytes, weights: Weights) -> tuple[bytes, float]:
    """The words without what joins calls and results, and the tokens of those, with the thoughts that are signed in them."""
    tokens = weights.call * sum(map(words.count, _CALLS))
    if not tokens:
        return words, 0.0
    if b"hought" in words:
        tokens += weights.thought * sum(map(len, _SIGNATURE.findall(words)))
        words = _SIGNATURE.sub(b"", words)
    return _ID.sub(b"", words), tokens


def _without_images(words: bytes, weights: Weights) -> tuple[bytes, float]:
    """The words without what is encoded in them, and the tokens of the images among that."""
    found = ENCODED.findall(words)
    if not found:
        return words, 0.0
    sizes = [size for data in found if (size := image_size(data)) is not None]
    pixels = sum(min(width * height, 1_200_000) for width, height in sizes)
    tokens = weights.image * pixels + weights.flat_image * len(sizes)
    if weights.tile:
        tokens += weights.tile * sum(_tiles(*size) for size in sizes)
    return ENCODED.sub(b'""', words), tokens


def _tiles(width: int, height: int) -> int:
    """Made to fit 2048 each way, then 768 the shorter way, and cut."""
    scale = min(1.0, 2048 / max(width, height, 1), 768 / max(min(width, height), 1))
    return ceil(width * scale / 512) * ceil(height * scale / 512)


def image_size(encoded: bytes) -> tuple[int, int] | None:
    """Width and height of a base64 PNG, JPEG, GIF or WebP; None for anything else."""
    part = encoded[:_HEAD]
    try:
        raw = base64.b64decode(part[: len(part) // 4 * 4].translate(_PLAIN))
    except ValueError:
        return None
    if raw.startswith(b"\x89PNG\r\n\x1a\n") and len(raw) >= 24:
        width, height = struct.unpack(">II", raw[16:24])
        return int(width), int(height)
    if raw[:4] == b"GIF8" and len(raw) >= 10:
        width, height = struct.unpack("<HH", raw[6:10])
        return int(width), int(height)
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return _UNKNOWN
    return _jpeg(raw) if raw[:2] == b"\xff\xd8" else None


def _jpeg(raw: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(raw):
        marker = raw[at + 1]
        if raw[at] != 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            return int(width), int(height)
        else:
            at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return _UNKNOWN
