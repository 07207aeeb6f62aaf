"""The arithmetic by which numbers of people, cards and accounts prove themselves."""

from __future__ import annotations

import datetime

# Length of an IBAN by country, from the SWIFT registry.
IBAN_LENGTH = dict(
    item.split(":")
    for item in [
        "AD:24",
        "AE:23",
        "AL:28",
        "AT:20",
        "AZ:28",
        "BA:20",
        "BE:16",
        "BG:22",
        "BH:22",
        "BI:27",
        "BR:29",
        "BY:28",
        "CH:21",
        "CR:22",
        "CY:28",
        "CZ:24",
        "DE:22",
        "DJ:27",
        "DK:18",
        "DO:28",
        "EE:20",
        "EG:29",
        "ES:24",
        "FI:18",
        "FK:18",
        "FO:18",
        "FR:27",
        "GB:22",
        "GE:22",
        "GI:23",
        "GL:18",
        "GR:27",
        "GT:28",
        "HN:28",
        "HR:21",
        "HU:28",
        "IE:22",
        "IL:23",
        "IQ:23",
        "IS:26",
        "IT:27",
        "JO:30",
        "KW:30",
        "KZ:20",
        "LB:28",
        "LC:32",
        "LI:21",
        "LT:20",
        "LU:20",
        "LV:21",
        "LY:25",
        "MC:27",
        "MD:24",
        "ME:22",
        "MK:19",
        "MN:20",
        "MR:27",
        "MT:31",
        "MU:30",
        "NI:28",
        "NL:18",
        "NO:15",
        "OM:23",
        "PK:24",
        "PL:28",
        "PS:29",
        "PT:25",
        "QA:29",
        "RO:24",
        "RS:22",
        "RU:33",
        "SA:24",
        "SC:31",
        "SD:18",
        "SE:24",
        "SI:19",
        "SK:24",
        "SM:27",
        "SO:23",
        "ST:25",
        "SV:28",
        "TL:23",
        "TN:24",
        "TR:26",
        "UA:29",
        "VA:22",
        "VG:24",
        "XK:20",
        "YE:30",
    ]
)


def luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def iban(text: str) -> str:
    """The IBAN that this text begins with, without its spaces, or nothing."""
    plain = text.replace(" ", "").replace("-", "").upper()
    size = int(IBAN_LENGTH.get(plain[:2], 0))
    plain = plain[:size]
    if not size or len(plain) < size or not plain.isascii() or not plain.isalnum():
        return ""
    number = int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4]))
    return plain if number % 97 == 1 else ""


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def spanish(text: str) -> bool:
    """NIF and NIE: the letter is the number modulo 23."""
    plain = text.upper().replace("-", "")
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def finnish(text: str) -> bool:
    digits = text[:6] + text[7:10]
    return (
        date(text[4:6], text[2:4], text[:2])
        and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == text[10].upper()
    )


_VERHOEFF_D = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527",
               "9453126870", "4286573901", "2793806415", "7046913258")  # fmt: skip


def verhoeff(digits: str) -> bool:
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[index % 8][int(digit)])])
    return check == 0


def thai(digits: str) -> bool:
    province = int(digits[1:3])
    real = (
        10 <= province <= 27
        or 30 <= province <= 58
        or 60 <= province <= 67
        or 70 <= province <= 77
        or 80 <= province <= 86
        or 90 <= province <= 96
    )
    total = sum(int(d) * (13 - i) for i, d in enumerate(digits[:12]))
    return (
        digits[0] in "12345678"
        and real
        and len(set(digits)) > 1
        and (11 - total % 11) % 10 == int(digits[12])
    )


def south_african(digits: str) -> bool:
    return date(digits[:2], digits[2:4], digits[4:6]) and digits[10] in "01" and luhn(digits)


def korean(digits: str) -> bool:
    check = (11 - _weighted(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    foreign = (check + 2) % 10 if digits[6] in "5678" else check
    return (
        date(digits[:2], digits[2:4], digits[4:6]) and digits[6] in "12345678" and foreign == int(digits[12])
    )


def turkish(digits: str) -> bool:
    odd, even = sum(map(int, digits[0:9:2])), sum(map(int, digits[1:8:2]))
    return (
        digits[0] != "0"
        and (odd * 7 - even) % 10 == int(digits[9])
        and (odd + even + int(digits[9])) % 10 == int(digits[10])
    )


def polish(digits: str) -> bool:
    check = (10 - _weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10
    return check == int(digits[10]) and 1 <= int(digits[2:4]) % 20 <= 12


def swedish(digits: str) -> bool:
    ten = digits[-10:]
    month, day = int(ten[2:4]), int(ten[4:6]) % 60
    return luhn(ten) and ((1 <= month <= 12 and 1 <= day <= 31) or (month >= 20 and len(digits) == 10))


def brazilian(digits: str) -> bool:
    first = _weighted(digits[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = _weighted(digits[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def british_nhs(digits: str) -> bool:
    return (11 - _weighted(digits[:9], tuple(range(10, 1, -1))) % 11) % 11 == int(digits[9])


def npi(digits: str) -> bool:
    return digits[0] in "12" and luhn("80840" + digits)


def date(year: str, month: str, day: str) -> bool:
    try:
        datetime.date(2000 + int(year) % 100, int(month), int(day))
    except ValueError:
        return False
    return True
