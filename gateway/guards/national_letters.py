"""How numbers that hold letters prove themselves: what states write on cards, in passports and in prescriptions."""

from __future__ import annotations

from gateway.guards.checksums import date, luhn, weighted


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


def hong_kong(text: str) -> bool:
    values = [int(c, 36) for c in text[:-1].upper()]
    total = sum(v * w for v, w in zip(reversed(values), range(2, 10), strict=False))
    return "0123456789A"[-(total + (36 * 9 if len(values) == 7 else 0)) % 11] == text[-1].upper()


def taiwanese(text: str) -> bool:
    letter = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0].upper()) + 10
    return (letter // 10 + weighted(f"{letter % 10}{text[1:]}", (9, 8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def american_prescriber(text: str) -> bool:
    """The DEA's number of whoever prescribes."""
    digits = text[2:]
    return (weighted(digits[0:6:2], (1, 1, 1)) + 2 * weighted(digits[1:6:2], (1, 1, 1))) % 10 == int(
        digits[6]
    )


def irish(text: str) -> bool:
    second = "WABCDEFGHI".find(text[8:9].upper() or "W")
    total = weighted(text[:7], (8, 7, 6, 5, 4, 3, 2)) + 9 * max(second, 0)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7].upper()


def singaporean(text: str) -> bool:
    start, digits, last = text[0].upper(), text[1:8], text[8].upper()
    total = weighted(digits, (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(start, 0)
    keys = {
        "S": "JZIHGFEDCBA",
        "T": "JZIHGFEDCBA",
        "F": "XWUTRQPNMLK",
        "G": "XWUTRQPNMLK",
        "M": "XWUTRQPNJLK",
    }[start]
    return keys[total % 11] == last


def travel(text: str) -> bool:
    """The last figure checks what is before it, as in the lines of passports that machines read."""
    total = sum(int(c, 36) * (7, 3, 1)[at % 3] for at, c in enumerate(text[:-1].upper()))
    return total % 10 == int(text[-1])


def portuguese_card(text: str) -> bool:
    values = [int(c, 36) * (2 if at % 2 else 1) for at, c in enumerate(reversed(text.upper()))]
    return sum(v - 9 if v > 9 and at % 2 else v for at, v in enumerate(values)) % 10 == 0


def german_health(text: str) -> bool:
    """The letter counts as its two figures."""
    digits = f"{ord(text[0].upper()) - 64:02}{text[1:9]}"
    total = sum(sum(divmod(int(d) * (2 if at % 2 else 1), 10)) for at, d in enumerate(digits))
    return total % 10 == int(text[9])


def quebec_health(text: str) -> bool:
    return date(text[4:6], f"{int(text[6:8]) % 50:02}", text[8:10])


def spanish_company(text: str) -> bool:
    return luhn(text[1:])


def singaporean_company(text: str) -> bool:
    """Of a business by its count, of a company by its year; the others have their letters inside."""
    plain, letter = text[:-1], text[-1].upper()
    if len(plain) == 8:
        return "XMKECAWLJDB"[weighted(plain, (10, 4, 9, 3, 8, 2, 7, 1)) % 11] == letter
    return "ZKCMDNERGWH"[weighted(plain, (10, 8, 6, 4, 9, 7, 5, 3, 1)) % 11] == letter
