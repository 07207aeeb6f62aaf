"""The arithmetic by which numbers of cards, accounts and people prove themselves."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

# Length of an IBAN by country, from the SWIFT registry.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTH = {each[:2]: int(each[2:]) for each in _IBANS.split()}


def luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def iban(text: str) -> str:
    """The IBAN that this text begins with, without its spaces, or nothing."""
    plain = text.replace(" ", "").replace("-", "").upper()
    size = IBAN_LENGTH.get(plain[:2], 0)
    plain = plain[:size]
    if not size or len(plain) < size or not plain.isascii() or not plain.isalnum():
        return ""
    number = int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4]))
    return plain if number % 97 == 1 else ""


def weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


_VERHOEFF_D = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527",
               "9453126870", "4286573901", "2793806415", "7046913258")  # fmt: skip


def verhoeff(digits: str) -> bool:
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[index % 8][int(digit)])])
    return check == 0


def iso7064(digits: str) -> bool:
    """ISO 7064, modulo 11 and 10."""
    check = 10
    for digit in digits[:-1]:
        check = ((int(digit) + check) % 10 or 10) * 2 % 11
    return (11 - check) % 10 == int(digits[-1])


def date(year: str, month: str, day: str) -> bool:
    try:
        datetime.date(2000 + int(year) % 100, int(month), int(day))
    except ValueError:
        return False
    return True
