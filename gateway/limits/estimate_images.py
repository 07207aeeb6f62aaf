"""How many tokens a picture is: each provider's arithmetic, as documented, over its width and height."""

from __future__ import annotations

import base64
import struct
from math import ceil

_HEAD = 64 * 1024  # of an image, as much is looked at to find its size
_UNKNOWN = (1024, 1024)
_PLAIN = bytes.maketrans(b"-_", b"+/")


def by_pixels(width: int, height: int, *, each: float, longest: int, most: float) -> float:
    """Made to fit `longest` each way, and so many tokens a pixel."""
    scale = min(1.0, longest / max(width, height, 1))
    return min(width * height * scale * scale * each, most)


def by_tiles(width: int, height: int, *, flat: float, tile: float) -> float:
    """OpenAI: made to fit 2048 each way, then 768 the shorter way, and cut into squares of 512."""
    scale = min(1.0, 2048 / max(width, height, 1), 768 / max(min(width, height), 1))
    return flat + tile * ceil(width * scale / 512) * ceil(height * scale / 512)


def by_patches(width: int, height: int, *, size: int, each: float, most: int) -> float:
    """Patches of `size` pixels square, made smaller until there are no more than `most`."""
    return each * min(ceil(width / size) * ceil(height / size), most)


def by_crops(width: int, height: int, *, each: float) -> float:
    """Gemini 2.0: the whole, and unless it is small the squares that it is cut into."""
    if max(width, height) <= 384:
        return each
    unit = min(768.0, max(256.0, min(width, height) / 1.5))
    return each * (1 + ceil(width / unit) * ceil(height / unit))


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
        return _webp(raw)
    return _jpeg(raw) if raw[:2] == b"\xff\xd8" else None


def _webp(raw: bytes) -> tuple[int, int]:
    kind = raw[12:16]
    if kind == b"VP8X" and len(raw) >= 30:
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if kind == b"VP8L" and len(raw) >= 25:
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and raw[23:26] == b"\x9d\x01\x2a" and len(raw) >= 30:
        width, height = struct.unpack("<HH", raw[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return _UNKNOWN


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
