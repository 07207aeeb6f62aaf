"""What a request gives a model, added up over its messages: those that were sent before are not looked at again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct

from gateway.limits import estimate_tally as tallies
from gateway.limits.estimate_images import image_size
from gateway.limits.estimate_tally import Tally
from gateway.limits.estimate_words import Words
from gateway.limits.recent import Recent

_any = msgspec.json.Decoder().decode
_LOOKED_FOR = re.compile(rb'"tool_name":\s*("[^"]+")')

_CONVERSATIONS = ("messages", "input", "contents")
_FIELDS = ("system", "instructions", "systemInstruction", "system_instruction", "prompt")

FEW = 8  # pictures and names of tools that are remembered with a message
LONGEST = 512  # bytes of those names

# Its size, where it is known, and whether it is only glanced at.
Picture = tuple[tuple[int, int] | None, bool]


class Given(Struct, frozen=True):
    """Of one message, of a field, or of all of them."""

    texts: Tally
    messages: int
    calls: int  # of tools, and their results
    begins: bool  # a turn: the thoughts of those before do not count any more
    thoughts: Tally
    signed: int  # bytes of signatures that stand for thoughts
    tagged: Tally  # thoughts in tags, which some templates drop
    pictures: tuple[Picture, ...]
    found: tuple[bytes, ...]  # tools that were looked for: their names, quoted


def read(fields: Mapping[str, Any]) -> Given:
    """Of a request whose conversations are lists of JSON that is not read yet, and so is each other field."""
    parts = [_field(bytes(fields[name])) for name in _FIELDS if name in fields]
    for name in _CONVERSATIONS:
        said = fields.get(name)
        if type(said) is list:
            parts += map(_message, map(bytes, said))
        elif said is not None:
            parts.append(_read(said, b""))
    return parts[0] if len(parts) == 1 else _together(parts)


def _read(node: object, data: bytes) -> Given:
    words = Words()
    words.read(node)
    return Given(
        tallies.of(words.texts),
        words.messages,
        words.calls,
        words.begins,
        tallies.of(words.thoughts, within=True),
        words.signed,
        tallies.of(words.tagged, within=True),
        tuple((image_size(picture.encode()), detail == "low") for picture, detail in words.pictures),
        tuple(_LOOKED_FOR.findall(data)) if b'"tool_name"' in data else (),
    )


def _light(given: Given) -> bool:
    return len(given.pictures) + len(given.found) <= FEW and sum(map(len, given.found)) <= LONGEST


_message = Recent(lambda data: _read([_any(data)], data), light=_light)
_field = Recent(lambda data: _read(_any(data), data), light=_light)

_texts, _messages, _calls, _thoughts, _signed, _tagged, _pictures, _found = map(
    attrgetter, ("texts", "messages", "calls", "thoughts", "signed", "tagged", "pictures", "found")
)


def _together(parts: Sequence[Given]) -> Given:
    last = next((at for at in range(len(parts) - 1, -1, -1) if parts[at].begins), 0)
    turn = parts[last:]
    return Given(
        tallies.total(map(_texts, parts)),
        sum(map(_messages, parts)),
        sum(map(_calls, parts)),
        False,
        tallies.total(map(_thoughts, turn)),
        sum(map(_signed, turn)),
        tallies.total(map(_tagged, parts)),
        tuple(chain.from_iterable(map(_pictures, parts))),
        tuple(chain.from_iterable(map(_found, parts))),
    )
