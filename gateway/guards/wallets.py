"""Addresses of wallets: both alphabets carry a checksum, so that a mistyped one pays nobody."""

from __future__ import annotations

import hashlib

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def proves(address: str) -> bool:
    """Bitcoin's, and those of its kind."""
    if not address.isascii():
        return False  # a letter that is only folded to one of the alphabet
    return _bech32(address.lower()) if address[:3].lower() == "bc1" else _base58(address)


def _base58(address: str) -> bool:
    number = 0
    for char in address:
        number = number * 58 + _BASE58.index(char)
    if number >= 1 << 200:
        return False
    data = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def _bech32(address: str) -> bool:
    """BIP 173 and 350: a code over 32 letters, with one rest for the first version and another for the later ones."""
    prefix, _, data = address.partition("1")
    rest = 1
    spelled = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *map(_BECH32.index, data)]
    for value in spelled:
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(_GENERATORS):
            rest ^= generator if top >> at & 1 else 0
    return rest in (1, 0x2BC830A3)
