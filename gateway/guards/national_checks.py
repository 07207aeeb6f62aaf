"""How the numbers that states give prove themselves: one function for each arithmetic that a table of weights cannot say."""

from __future__ import annotations

from collections.abc import Callable

from gateway.guards.checksums import date, iso7064, luhn, verhoeff, weighted

Check = Callable[[str], bool]


def keyed(weights: str, keys: str) -> Check:
    """The figure after those that have weights is the key at their sum's remainder; a space is the key of no number."""
    numbers = tuple(map(int, weights.split()))
    return lambda digits: keys[weighted(digits, numbers) % len(keys)] == digits[len(numbers)]


def dated(form: str, check: Check = lambda digits: True, *, months: int = 100) -> Check:
    """A date stands where the form says YY, MM and DD; by what is added to the month some states tell a century or a sex."""
    year, month, day = form.index("YY"), form.index("MM"), form.index("DD")

    def proves(digits: str) -> bool:
        counted = f"{int(digits[month : month + 2]) % months:02}"
        return date(digits[year : year + 2], counted, digits[day : day + 2]) and check(digits)

    return proves


_THAI_PROVINCES = ((10, 27), (30, 58), (60, 67), (70, 77), (80, 86), (90, 96))


def thai(digits: str) -> bool:
    province = int(digits[1:3])
    real = any(low <= province <= high for low, high in _THAI_PROVINCES)
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
    alive = digits[:2] < "50" if digits[6] in "3478" else digits[:2] > "03"  # nobody lived longer
    born = date(digits[:2], digits[2:4], digits[4:6]) and digits[6] in "12345678" and alive
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
    return check == int(digits[10]) and date(digits[:2], f"{int(digits[2:4]) % 20:02}", digits[4:6])


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


def austrian(digits: str) -> bool:
    """A count, its check digit, and a date (or a month 13, where a day had none left)."""
    check = weighted(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return (
        digits[0] != "0"
        and check == int(digits[3])
        and date(digits[8:], f"{(int(digits[6:8]) - 1) % 12 + 1:02}", digits[4:6])
    )


def german_tax(digits: str) -> bool:
    """Of the first ten figures one, and no other, stands twice or three times."""
    counts = sorted(map(digits[:10].count, set(digits[:10])))
    return digits[0] != "0" and counts[-1] in (2, 3) and counts[-2:-1] == [1] and iso7064(digits)


def kazakh(digits: str) -> bool:
    check = weighted(digits, tuple(range(1, 12))) % 11
    if check == 10:
        check = weighted(digits, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    return digits[6] in "0123456" and check == int(digits[11]) and date(digits[:2], digits[2:4], digits[4:6])


def luxembourgish(digits: str) -> bool:
    dated = digits[:2] in ("18", "19", "20") and date(digits[2:4], digits[4:6], digits[6:8])
    return dated and luhn(digits[:12]) and verhoeff(digits[:11] + digits[12])


def russian_tax(digits: str) -> bool:
    first = weighted(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weighted(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return digits[:2] != "00" and digits[10:] == f"{first}{second}"


def russian_pension(digits: str) -> bool:
    return weighted(digits, tuple(range(9, 0, -1))) % 101 % 100 == int(digits[9:])


def italian_company(digits: str) -> bool:
    """The office that gave the number stands before the check digit."""
    office = int(digits[7:10])
    return digits[:7] != "0000000" and (1 <= office <= 100 or office in (120, 121, 888, 999)) and luhn(digits)


def brazilian_driver(digits: str) -> bool:
    first = weighted(digits, tuple(range(9, 0, -1))) % 11
    less = 2 if first == 10 else 0
    second = weighted(digits, tuple(range(1, 10))) % 11 - less
    return len(set(digits)) > 1 and digits[9:] == f"{first % 10}{0 if second in (-2, -1, 10) else second}"


def french_tax(digits: str) -> bool:
    return digits[0] in "0123" and int(digits[:10]) % 511 == int(digits[10:])


def egyptian(digits: str) -> bool:
    """A century, a date, a governorate."""
    region = int(digits[7:9])
    return (
        digits[0] in "23"
        and (1 <= region <= 35 or region == 88)
        and date(digits[1:3], digits[3:5], digits[5:7])
    )


def emirati(digits: str) -> bool:
    return digits[:3] == "784" and digits[3:5] in ("19", "20") and luhn(digits)


_NOWHERE_IN_MALAYSIA = frozenset((0, 17, 18, 19, 20, 69, 70, 73, 80, 81, 94, 95, 96, 97))


def malaysian(digits: str) -> bool:
    """A date, a state or a country of birth, a count."""
    place = int(digits[6:8])
    return date(digits[:2], digits[2:4], digits[4:6]) and place not in _NOWHERE_IN_MALAYSIA


def pakistani(digits: str) -> bool:
    return digits[0] in "1234567" and digits[5:12] != "0000000" and digits[12] != "0"


def ecuadorian(digits: str) -> bool:
    return (1 <= int(digits[:2]) <= 24 or digits[:2] == "30") and digits[2] < "6" and luhn(digits)


def american_bank(digits: str) -> bool:
    """The districts of the Federal Reserve, and three weights."""
    district = int(digits[:2])
    real = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return real and weighted(digits, (3, 7, 1) * 3) % 10 == 0 and int(digits) > 0


def korean_business(digits: str) -> bool:
    total = weighted(digits, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(digits[8]) * 5 // 10
    return -total % 10 == int(digits[9])


def new_zealand(digits: str) -> bool:
    digits = digits.zfill(9)
    if digits[0] not in "01":
        return False
    key = -weighted(digits[:8], (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    if key == 10:
        key = -weighted(digits[:8], (7, 4, 3, 2, 5, 2, 7, 6)) % 11
    return key == int(digits[8])


def spanish_account(digits: str) -> bool:
    """A bank and a branch have one check digit, the account another."""
    sums = (
        weighted(digits[:8], (4, 8, 5, 10, 9, 7, 3, 6)),
        weighted(digits[10:], (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)),
    )
    return digits[8:10] == "".join("01987654321"[total % 11] for total in sums)
