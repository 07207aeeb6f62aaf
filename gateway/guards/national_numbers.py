"""The numbers that states give to people, patients and taxpayers: how they are written, and how they prove themselves.

A number of figures alone is told from any other by its checksum only where that leaves next to no chance (a date inside, two
check digits); where it leaves one chance in ten, a word must stand near, or the groups in which it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gateway.guards.checksums import date, luhn, verhoeff, weighted


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
    check = (11 - weighted(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    foreign = (check + 2) % 10 if digits[6] in "5678" else check
    drawn = digits[6] in "3478" and digits[:6] >= "201005"  # by lot since October 2020, without a check digit
    born = date(digits[:2], digits[2:4], digits[4:6]) and digits[6] in "12345678"
    return born and (drawn or foreign == int(digits[12]))


def turkish(digits: str) -> bool:
    odd, even = sum(map(int, digits[0:9:2])), sum(map(int, digits[1:8:2]))
    return (
        digits[0] != "0"
        and (odd * 7 - even) % 10 == int(digits[9])
        and (odd + even + int(digits[9])) % 10 == int(digits[10])
    )


def polish(digits: str) -> bool:
    check = (10 - weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10
    return check == int(digits[10]) and 1 <= int(digits[2:4]) % 20 <= 12


def swedish(digits: str) -> bool:
    ten = digits[-10:]
    month, day = int(ten[2:4]), int(ten[4:6]) % 60
    return luhn(ten) and ((1 <= month <= 12 and 1 <= day <= 31) or (month >= 20 and len(digits) == 10))


def brazilian(digits: str) -> bool:
    first = weighted(digits[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(digits[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def british_nhs(digits: str) -> bool:
    return (11 - weighted(digits[:9], tuple(range(10, 1, -1))) % 11) % 11 == int(digits[9])


def npi(digits: str) -> bool:
    return digits[0] in "12" and luhn("80840" + digits)


def norwegian(digits: str) -> bool:
    first = -weighted(digits[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    born = date(digits[4:6], digits[2:4], f"{int(digits[:2]) % 40:02}")
    return born and digits[9:] == f"{first}{second}"


def baltic(digits: str) -> bool:
    """Estonia and Lithuania: a century, a date, a count and a check digit."""
    check = weighted(digits[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(digits[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return digits[0] in "3456" and date(digits[1:3], digits[3:5], digits[5:7]) and check == int(digits[10])


def romanian(digits: str) -> bool:
    check = weighted(digits[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11 % 10
    county = 1 <= int(digits[7:9]) <= 52
    return (
        digits[0] in "12345678"
        and county
        and date(digits[1:3], digits[3:5], digits[5:7])
        and (check == int(digits[12]) or (digits[12] == "1" and check == 0))
    )


def swiss(digits: str) -> bool:
    return digits[:3] == "756" and -weighted(digits[:12], (1, 3) * 6) % 10 == int(digits[12])


def french(digits: str) -> bool:
    """A sex, a month of a year, a place, a count, and a key of two figures."""
    month = int(digits[3:5])
    dated = digits[0] in "12" and (1 <= month <= 12 or 20 <= month <= 42)
    return dated and 97 - int(digits[:13]) % 97 == int(digits[13:])


def belgian(digits: str) -> bool:
    key = int(digits[9:])
    return date(digits[:2], digits[2:4], digits[4:6]) and key in (
        97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97
    )  # fmt: skip


def czech(digits: str) -> bool:
    month = int(digits[2:4]) % 50
    born = date(digits[:2], f"{month - 20 if month > 20 else month:02}", digits[4:6])
    return born and (len(digits) == 9 or int(digits) % 11 == 0)


def chinese(text: str) -> bool:
    check = "10X98765432"[weighted(text[:17], tuple(2**n % 11 for n in range(17, 0, -1))) % 11]
    return date(text[8:10], text[10:12], text[12:14]) and check == text[17].upper()


def australian_tax(digits: str) -> bool:
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def australian_business(digits: str) -> bool:
    return (weighted(digits, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0


def australian_medicare(digits: str) -> bool:
    return digits[0] in "23456" and weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])


def brazilian_company(digits: str) -> bool:
    first = weighted(digits[:12], (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    second = weighted(digits[:13], (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    return digits[12:] == f"{first}{second}"


def chilean(text: str) -> bool:
    total = sum(int(d) * (2 + n % 6) for n, d in enumerate(reversed(text[:-1])))
    return "0123456789K0"[-total % 11] == text[-1].upper()


def argentine(digits: str) -> bool:
    return -weighted(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 == int(digits[10])


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


def _varied(check: Callable[[str], bool]) -> Callable[[str], bool]:
    """Of groups of three: round and regular numbers are no one's."""
    return lambda digits: len(set(digits)) > 3 and "00" not in digits and check(digits)


# digits: (name, check, whether a word must stand near)
_PLAIN: dict[int, tuple[tuple[str, Callable[[str], bool], bool], ...]] = {
    9: (("canadian_sin", luhn, True), ("australian_tfn", australian_tax, True)),
    10: (("us_npi", npi, True), ("uk_nhs", british_nhs, True), ("swedish_id", swedish, True)),
    11: (("turkish_id", turkish, False), ("norwegian_id", norwegian, False), ("baltic_id", baltic, False),
         ("belgian_id", belgian, False), ("polish_pesel", polish, True), ("australian_abn", australian_business, True),
         ("brazilian_cpf", brazilian, True), ("italian_vat", luhn, True)),
    12: (("indian_aadhaar", verhoeff, True), ("swedish_id", lambda d: d[:2] in ("19", "20") and swedish(d), False)),
    13: (("south_african_id", south_african, False), ("korean_id", korean, False), ("thai_id", thai, False),
         ("romanian_cnp", romanian, False), ("swiss_ahv", swiss, False)),
    15: (("french_nir", french, False),),
    18: (("chinese_id", chinese, False),),
}  # fmt: skip

# Numbers in groups of their own, told by the groups and a check.
_GROUPED: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("swiss_ahv", r"756\.\d{4}\.\d{4}\.\d\d", swiss),
    ("french_nir", r"[12] \d\d \d\d \d\d \d{3} \d{3}(?: \d\d)", french),
    ("belgian_id", r"\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d", belgian),
    ("czech_id", r"\d{6}/\d{3,4}", czech),
    ("australian_abn", r"\d\d \d{3} \d{3} \d{3}", australian_business),
    ("australian_medicare", r"\d{4} \d{5} \d", australian_medicare),
    ("brazilian_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", brazilian),
    ("brazilian_cnpj", r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", brazilian_company),
    ("chilean_rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", chilean),
    ("argentine_cuit", r"(?:2[0347]|3[034])-\d{8}-\d", argentine),
    ("uk_nhs", r"\d{3}[ -]\d{3}[ -]\d{4}", british_nhs),
    ("canadian_sin", r"\d{3}([ -])\d{3}\1\d{3}", _varied(luhn)),
    ("australian_tfn", r"\d{3}([ -])\d{3}\1\d{3}", _varied(australian_tax)),
    ("indian_aadhaar", r"[2-9]\d{3}([ -])\d{4}\1\d{4}", verhoeff),
)
_FORMS = tuple((name, re.compile(form), check) for name, form, check in _GROUPED)


def plain(digits: str) -> Iterator[tuple[str, bool]]:
    """What figures in a row may be, and whether a word must say so, too."""
    for name, check, needed in _PLAIN.get(len(digits), ()):
        if check(digits):
            yield name, needed


def grouped(value: str) -> str:
    """What figures in groups are, or nothing."""
    for name, form, check in _FORMS:
        if form.fullmatch(value) and check("".join(filter(str.isalnum, value))):
            return name
    return ""
