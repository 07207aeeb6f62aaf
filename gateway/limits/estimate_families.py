"""What each family of models makes of a prompt: tokens for each kind of byte, and for what its provider adds.

Letters, digits and marks are fitted to recorded usage, see docs/limits.md; pictures and what tools add as the providers document
it, where they do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from msgspec import Struct
from msgspec.structs import replace

from gateway.limits import estimate_images as images

Picture = Callable[[int, int], float]


def _by_claude(width: int, height: int) -> float:
    return images.by_pixels(width, height, each=1 / 750, longest=1568, most=1600)


class Weights(Struct, frozen=True):
    """Tokens for each thing of a request, and for what a provider adds to it."""

    lower: float  # a small letter
    upper: float  # a capital
    digit: float
    space: float  # of several in a row about one counts
    mark: float  # punctuation
    line: float  # a line break
    high: float  # a byte that is not ASCII
    wide: float  # a character of Chinese, Japanese or Korean
    run: float  # a letter that is in no word: of a key, a digest, something encoded
    base: float
    message: float
    call: float  # of a tool, or its result
    described: float  # a byte of what the tools' definitions say in words
    defined: float  # any other byte of them
    tool: float = 0.0  # each
    field: float = 0.0  # each argument that a tool may have
    toolbox: float = 0.0  # that there are any
    chat: float = 0.0  # that there are any in a request of Chat Completions
    forced: float = 0.0  # that one must be called, instead of `toolbox` (0: the same)
    shape: float = 0.0  # a byte of the answer's schema
    shaped: float = 0.0  # that there is one
    thinking: float = 0.0  # that the model is to think
    adaptive: float = 0.0  # that it may
    budgeted: float = 0.0  # that it is told how long the task may be
    # Tools that the provider defines, by the beginning of their kind.
    own: tuple[tuple[bytes, float], ...] = ()
    thought: float = 0.0  # a byte of a signature, which stands for the thoughts that it signs
    drops: bool = False  # thoughts in tags, which its template takes out of the answers before
    more: float = 1.0  # tokens for each of the family's: a newer tokenizer
    picture: Picture = _by_claude
    low: float = 0.0  # tokens of a picture that is only glanced at (0: as many as of any other)


def _tiles(flat: float, tile: float) -> Picture:
    return partial(images.by_tiles, flat=flat, tile=tile)


def _patches(size: int, each: float = 1.0, most: int = 1536) -> Picture:
    return partial(images.by_patches, size=size, each=each, most=most)


def _flat(tokens: float) -> Picture:
    return lambda width, height: tokens


_ANTHROPIC = (
    (b'"tool_search_tool_', 230),
    (b'"bash_20', 245),
    (b'"text_editor_20', 700),
    (b'"computer_20', 735),
    (b'"memory_20', 1050),
)
_CLAUDE = Weights(lower=0.13, upper=0.27, digit=0.95, space=0.48, mark=0.6, line=0.45, high=0.3, wide=1.0, run=0.55, base=6.5, message=2.7,
                  call=24, described=0.225, defined=0.325, toolbox=346, forced=313, shape=0.27, shaped=125, thinking=28,
                  adaptive=18, own=_ANTHROPIC)  # fmt: skip
_CLAUDE_NEWER = replace(_CLAUDE, more=1.39, budgeted=36,
                        picture=partial(images.by_pixels, each=1 / 750, longest=2576, most=4784))  # fmt: skip
_GPT = Weights(lower=0.15, upper=0.3, digit=0.6, space=0.38, mark=0.5, line=0.55, high=0.14, wide=0.7, run=0.4, base=3, message=4.5, call=8,
               described=0.195, defined=0.065, toolbox=18, shape=0.165, picture=_tiles(85, 170), low=85)  # fmt: skip
_GPT_5 = replace(_GPT, chat=75, picture=_tiles(70, 140), low=70)
_GPT_OSS = replace(_GPT, base=63, toolbox=40)
_GEMINI = Weights(lower=0.095, upper=0.1, digit=0.95, space=0.65, mark=0.6, line=0.65, high=0.2, wide=0.65, run=0.4, base=2, message=0, call=8,
                  described=0.21, defined=0.0, tool=22, field=13, picture=_flat(258))  # fmt: skip
_GEMINI_2_0 = replace(
    _GEMINI, call=0.6, described=0.2, tool=2, field=3, picture=partial(images.by_crops, each=258)
)
_GEMINI_3 = replace(_GEMINI, tool=17, field=15, thought=0.19, picture=_flat(1100))
_GEMINI_3_VERTEX = replace(_GEMINI_2_0, picture=_flat(1100))
_OTHER = Weights(lower=0.15, upper=0.33, digit=0.6, space=0.3, mark=0.65, line=0.5, high=0.3, wide=0.75, run=0.45, base=4, message=2, call=6,
                 described=0.25, defined=0.25, toolbox=20, picture=_patches(28))  # fmt: skip
_MISTRAL = replace(_OTHER, base=10, digit=1.0, described=0.32, defined=0.32, toolbox=0)
_PIXTRAL = replace(_MISTRAL, picture=_patches(16, 1.03, 4096))
_LLAMA_3 = replace(_OTHER, base=34, toolbox=95)
_LLAMA_4 = replace(_OTHER, base=8, toolbox=630, picture=_patches(336, 144.0, 16))
_NOVA = replace(_OTHER, toolbox=330, picture=_flat(1800))
_NOVA_2 = replace(_OTHER, toolbox=830, picture=_by_claude)
_DEEPSEEK = replace(_OTHER, toolbox=180, drops=True)
_DEEPSEEK_4 = replace(_DEEPSEEK, base=82, toolbox=200)
_GLM = replace(_OTHER, base=10, toolbox=90, drops=True)
_QWEN = replace(_OTHER, base=9, toolbox=120, drops=True)
_WRITER = replace(_OTHER, base=31, toolbox=90)


def _claude(auto: float, forced: float, like: Weights = _CLAUDE) -> Weights:
    return replace(like, toolbox=auto, forced=forced)


# The first that has one of its words in the model's name, where dots are written as dashes and a slash stands before it. What tools
# add to Claude is documented for each.
_FAMILIES: tuple[tuple[Weights, tuple[str, ...]], ...] = (
    (_claude(675, 804, _CLAUDE_NEWER), ("opus-4-7",)),
    (_claude(354, 474, _CLAUDE_NEWER), ("sonnet-5",)),
    (_claude(290, 410, _CLAUDE_NEWER), ("opus-4-8", "opus-4-9", "opus-5", "haiku-5", "fable", "mythos")),
    (_claude(496, 588), ("opus-4-5", "opus-4-6", "sonnet-4-5", "sonnet-4-6", "haiku-4-5")),
    (_claude(313, 315), ("opus-4", "sonnet-4")),
    (_claude(264, 355), ("3-5-haiku",)),
    (_claude(294, 261), ("3-5-sonnet-20240620",)),
    (_claude(264, 340), ("3-haiku",)),
    (_claude(159, 235), ("3-sonnet",)),
    (_claude(530, 281), ("3-opus",)),
    (_CLAUDE, ("claude",)),
    (_GPT_OSS, ("gpt-oss",)),
    (replace(_GPT_5, picture=_patches(32, 1.5), low=0), ("gpt-5-nano", "gpt-5-4-nano")),
    (replace(_GPT_5, picture=_patches(32, 1.2), low=0), ("gpt-5-mini", "gpt-5-4-mini")),
    (_GPT_5, ("gpt-5",)),
    (replace(_GPT, picture=_tiles(2833, 5667), low=2833), ("gpt-4o-mini",)),
    (replace(_GPT, picture=_patches(32, 2.46), low=0), ("gpt-4-1-nano",)),
    (replace(_GPT, picture=_patches(32, 1.62), low=0), ("gpt-4-1-mini",)),
    (replace(_GPT, picture=_patches(32, 1.72), low=0), ("/o4-mini",)),
    (replace(_GPT, picture=_tiles(75, 150), low=75), ("/o1", "/o3", "/o4")),
    (_GPT, ("gpt",)),
    (_GEMINI_3, ("gemini-3", "gemini-flash-latest", "gemini-pro-latest")),
    (_GEMINI_2_0, ("gemini-1", "gemini-2-0")),
    (_GEMINI, ("gemini",)),
    (_NOVA_2, ("nova-2",)),
    (_NOVA, ("amazon-nova",)),
    (_PIXTRAL, ("pixtral",)),
    (_MISTRAL, ("mistral", "magistral", "ministral", "devstral", "codestral")),
    (_LLAMA_4, ("llama-4",)),
    (replace(_LLAMA_4, toolbox=95), ("llama4",)),  # as Bedrock calls and serves it
    (replace(_LLAMA_3, base=12), ("llama3-8b", "llama3-70b")),  # the first of them: no date in its preamble
    (_LLAMA_3, ("llama3", "llama-3")),
    (_DEEPSEEK_4, ("deepseek-v4",)),
    (_DEEPSEEK, ("deepseek",)),
    (_GLM, ("glm",)),
    (replace(_QWEN, toolbox=225), ("qwen3-coder", "qwen-3-coder")),
    (_QWEN, ("qwen",)),
    (replace(_OTHER, base=26), ("minimax",)),
    (_WRITER, ("/palmyra",)),
)


@lru_cache(1024)
def _named(model: str) -> Weights | None:
    name = "/" + model.lower().replace(".", "-")
    return next((weights for weights, words in _FAMILIES if any(word in name for word in words)), None)


def family(model: str, provider: str, *, contents: bool) -> Weights:
    """The weights of a model, or, where its name says nothing, those that the shape of the request makes likely."""
    weights = _named(model)
    if weights is None:
        return _GEMINI if contents else _OTHER
    return _GEMINI_3_VERTEX if weights is _GEMINI_3 and "vertex" in provider else weights
