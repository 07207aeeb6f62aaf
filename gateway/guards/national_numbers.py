"""The numbers that states give to people, patients and taxpayers: how they are written, and by what they are told.

Figures are told from any others by their check only where that leaves next to no chance (a date inside, two check digits), or
by the groups in which they are issued. Where one chance in fifty is left, such figures must be all that a field holds; where it
is one in ten, a word must stand near.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.guards import national_checks as check
from gateway.guards.checksums import iso7064, luhn, verhoeff
from gateway.guards.national_checks import Check, dated, keyed

NOTHING, FIELD, WORD = range(3)  # what figures need beside their check


@dataclass(frozen=True, slots=True)
class Number:
    name: str
    shapes: str  # the figures of each group, with what stands between: "3.3.3-2"
    check: Check
    needs: int = NOTHING


def _varied(proves: Check) -> Check:
    """Of groups of three: round and regular numbers are no one's."""
    return lambda digits: len(set(digits)) > 3 and "00" not in digits and proves(digits)


def _begins(first: str, proves: Check) -> Check:
    starts = tuple(first.split())
    return lambda digits: digits.startswith(starts) and proves(digits)


def _ends(last: str, proves: Check) -> Check:
    ends = tuple(last.split())
    return lambda digits: digits.endswith(ends) and proves(digits)


def _any(digits: str) -> bool:
    """The groups alone are told from any others."""
    return True


_ELEVEN = "0?987654321"  # eleven less the remainder
NUMBERS = (
    Number("argentine_cuit", "2-8-1", _begins("20 23 24 27 30 33 34", check.argentine)),
    Number("argentine_cuit", "11", _begins("20 23 24 27 30 33 34", check.argentine), FIELD),
    Number("australian_abn", "2 3 3 3", check.australian_business),
    Number("australian_abn", "11", check.australian_business, FIELD),
    Number("australian_acn", "9|3 3 3", keyed("8 7 6 5 4 3 2 1", "0987654321"), WORD),
    Number("australian_medicare", "4 5 1", check.australian_medicare),
    Number("australian_medicare", "10", check.australian_medicare, FIELD),
    Number("australian_tfn", "3 3 3|3-3-3", _varied(check.australian_tax)),
    Number("australian_tfn", "9", check.australian_tax, WORD),
    Number("austrian_insurance", "4 6", check.austrian),
    Number("austrian_insurance", "10", check.austrian, FIELD),
    Number("baltic_id", "11", check.baltic),
    Number("belgian_id", "2.2.2-3.2|2.2.2-3-2|11", check.belgian),
    Number("brazilian_cnpj", "2.3.3/4-2|14", check.brazilian_company),
    Number("brazilian_cpf", "3.3.3-2", check.brazilian),
    Number("brazilian_cpf", "11|9-2", check.brazilian, FIELD),
    Number("brazilian_driver", "11", check.brazilian_driver, WORD),
    Number("brazilian_pis", "3.5.2-1", keyed("3 2 9 8 7 6 5 4 3 2", "00987654321")),
    Number("brazilian_pis", "11", keyed("3 2 9 8 7 6 5 4 3 2", "00987654321"), WORD),
    Number("british_tax", "10", lambda digits: keyed("6 7 8 9 10 5 4 3 2", "21987654321")(digits[1:] + digits[0]), WORD),
    Number("bulgarian_egn", "10", dated("YYMMDD", keyed("2 4 8 5 10 9 7 3 6", "01234567890"), months=20), FIELD),
    Number("canadian_health", "10", _begins("9", keyed("0 2 4 8 5 10 9 7 3", _ELEVEN)), WORD),
    Number("canadian_sin", "3 3 3|3-3-3", _varied(luhn)),
    Number("canadian_sin", "9", _begins("1 2 3 4 5 6 7 9", luhn), WORD),
    Number("chilean_rut", "1.3.3-1|2.3.3-1|1.3.3-K|2.3.3-K", check.chilean),
    Number("chilean_rut", "8-1|8-K", check.chilean, FIELD),
    Number("chinese_id", "18|17X", check.chinese),
    Number("colombian_nit", "3.3.3-1", keyed("41 37 29 23 19 17 13 7 3", "01987654321")),
    Number("croatian_oib", "11", iso7064, WORD),
    Number("czech_id", "6/3|6/4", check.czech),
    Number("danish_cpr", "6-4", dated("DDMMYY", keyed("4 3 2 7 6 5 4 3 2", _ELEVEN))),
    Number("danish_cpr", "6-4", dated("DDMMYY"), FIELD),  # since 2007 without a check
    Number("dominican_cedula", "3-7-1", luhn),
    Number("dutch_bsn", "9", keyed("9 8 7 6 5 4 3 2", "0123456789?"), WORD),
    Number("ecuadorian_id", "10", check.ecuadorian, FIELD),
    Number("egyptian_id", "14", check.egyptian),
    Number("emirati_id", "3-4-7-1|15", check.emirati),
    Number("french_nir", "1 2 2 2 3 3 2|15|13 2", check.french),
    Number("french_tax", "2 2 3 3 3", check.french_tax),
    Number("french_tax", "13", check.french_tax, FIELD),
    Number("german_tax_id", "11|2 3 3 3", check.german_tax),
    Number("greek_amka", "11", dated("DDMMYY", luhn)),
    Number("greek_tax", "9", keyed("256 128 64 32 16 8 4 2", "01234567890"), WORD),
    Number("hungarian_taj", "9|3 3 3", keyed("3 7 3 7 3 7 3 7", "0123456789"), WORD),
    Number("icelandic_id", "6-4", dated("DDMMYY", _ends("0 8 9", keyed("3 2 7 6 5 4 3 2", _ELEVEN)))),
    Number("indian_aadhaar", "4 4 4|4-4-4", _begins("2 3 4 5 6 7 8 9", verhoeff)),
    Number("indian_aadhaar", "12", _begins("2 3 4 5 6 7 8 9", verhoeff), WORD),
    Number("indonesian_npwp", "2.3.3.1-3.3", _any),
    Number("israeli_id", "9", luhn, WORD),
    Number("italian_vat", "11", check.italian_company, FIELD),
    Number("japanese_my_number", "12", keyed("6 5 4 3 2 7 6 5 4 3 2", "00987654321"), WORD),
    Number("kazakh_iin", "12", check.kazakh),
    Number("korean_business", "3-2-5", check.korean_business),
    Number("korean_id", "13|6-7", check.korean),
    Number("latvian_id", "6-5", dated("DDMMYY", keyed("10 5 8 4 2 1 6 3 7 9", "12345678900"))),
    Number("luxembourgish_id", "13", check.luxembourgish),
    Number("malaysian_id", "6-2-4", check.malaysian),
    Number("mexican_clabe", "18", keyed("3 7 1 3 7 1 3 7 1 3 7 1 3 7 1 3 7", "0987654321"), WORD),
    Number("mexican_nss", "11", luhn, WORD),
    Number("new_zealand_ird", "2-3-3|3-3-3", check.new_zealand),
    Number("norwegian_id", "11|6 5", check.norwegian),
    Number("pakistani_cnic", "5-7-1", check.pakistani),
    Number("philippine_sss", "2-7-1|2-9-1", _any, FIELD),
    Number("polish_nip", "3-3-2-2|3-2-2-3|3 3 2 2", keyed("6 5 7 2 3 4 5 6 7", "0123456789?")),
    Number("polish_nip", "10", keyed("6 5 7 2 3 4 5 6 7", "0123456789?"), WORD),
    Number("polish_pesel", "11", check.polish, FIELD),
    Number("portuguese_nif", "9", _begins("1 2 3 5 6 8 9", keyed("9 8 7 6 5 4 3 2", "00987654321")), WORD),
    Number("romanian_cnp", "13", check.romanian),
    Number("russian_pension", "3-3-3 2|3-3-3-2", check.russian_pension),
    Number("russian_pension", "11", check.russian_pension, FIELD),
    Number("russian_tax", "12", check.russian_tax, FIELD),
    Number("saudi_id", "10", _begins("1 2", luhn), WORD),
    Number("south_african_id", "13|6 4 3|6 4 2 1", check.south_african),
    Number("spanish_account", "4 4 2 10", check.spanish_account),
    Number("swedish_id", "6-4|8-4|6+4|8+4|12", check.swedish),
    Number("swedish_id", "10", check.swedish, WORD),
    Number("swiss_ahv", "13|3.4.4.2", check.swiss),
    Number("thai_id", "1-4-5-2-1|1 4 5 2 1", check.thai),
    Number("thai_id", "13", check.thai, FIELD),
    Number("turkish_id", "11", check.turkish),
    Number("uk_nhs", "3 3 4|3-3-4", check.british_nhs),
    Number("uk_nhs", "10", check.british_nhs, WORD),
    Number("ukrainian_tax", "10", keyed("-1 5 7 9 4 6 10 5 7", "01234567890"), WORD),
    Number("us_bank_routing", "9|4-4-1", check.american_bank, WORD),
    Number("us_npi", "10", check.npi, WORD),
    Number("us_npi", "4 3 3", check.npi),
    Number("yugoslav_id", "13", dated("DDMM_YY", keyed("7 6 5 4 3 2 7 6 5 4 3 2", "00987654321"))),
)  # fmt: skip

_BY_SHAPE: dict[str, list[Number]] = {}
for _number in NUMBERS:
    for _shape in _number.shapes.split("|"):
        _BY_SHAPE.setdefault(_shape, []).append(_number)


def told(value: str) -> Iterator[tuple[str, int]]:
    """What figures may be, in a row or in groups, and what they need beside that: the least first."""
    digits = "".join(filter(str.isalnum, value.upper()))
    if len(set(digits)) < 3:
        return  # regular numbers are no one's
    found = _BY_SHAPE.get(re.sub(r"[0-9]+", lambda run: str(len(run[0])), value.upper()), ())
    timed = len(value) == 13 and "1500000000000" < value < "1999999999999"  # milliseconds since 1970
    proved = ((number.name, WORD if timed else number.needs) for number in found if number.check(digits))
    yield from sorted(proved, key=lambda pair: pair[1])
