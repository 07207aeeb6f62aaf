"""Numbers that states give: published examples prove themselves, and a wrong figure is found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import national_letters, national_numbers, registry, wallets

# Alone, without a word that says what they are. Most are the examples of the offices that give them out.
TOLD_ALONE = {
    "norwegian_id": "01010750160",
    "baltic_id": "37605030299",
    "belgian_id": "85.07.30-033.28",
    "czech_id": "710319/2745",
    "romanian_cnp": "2800101221146",
    "swiss_ahv": "756.9217.0769.85",
    "french_nir": "2 55 08 14 168 025 38",
    "chinese_id": "11010519491231002X",
    "australian_abn": "51 824 753 556",
    "australian_medicare": "2123 45670 1",
    "australian_tfn": "459 286 172",
    "canadian_sin": "046-454-286",
    "uk_nhs": "943 476 5919",
    "brazilian_cpf": "529.982.247-25",
    "brazilian_cnpj": "11.222.333/0001-81",
    "chilean_rut": "12.345.678-5",
    "argentine_cuit": "20-17254359-7",
    "hong_kong_id": "AB987654(3)",
    "taiwanese_id": "A123456789",
    "american_prescriber": "BB1388568",
    "mexican_curp": "BOXW310820HNERXN09",
    "travel_document": "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
}

BESIDE_WORDS = [
    "Steuer-ID: 86095742719",
    "BSN 111222333",
    "routing number 021000021",
    "account number: 000123456789",
    "date of birth: 12/03/1984",
    "born on 3 March 1984",
    "MRN: 00482913",
    "fødselsnummer 01010750160",
]

WRITTEN_OTHERWISE = [
    "call +44 20 7946 0958".replace(" ", "\u00a0"),
    "４１１１ １１１１ １１１１ １１１１",
    "SSN 536\u201190\u20114399",
    "٤١١١١١١١١١١١١١١١",
    "jane [at] mail-provider [dot] net",
    "paid with 4111 1111 1111 1111 08/27 123",
    "номер телефона (040) 92254814",
    "jane dot doe at mail-provider dot net",
]

NOBODYS = [
    "range 10-20-30",
    "A123456781",  # the check digits of A123456789 and A123456780 are wrong
    "750.1234.5678.90",
    "51 824 753 557",
    "100 200 300",
    "EE38 A200 2210 2014 5685",
    "serial 046-454-286",
    "expected 33554432 bytes",
    "at 10:15 dot the i",
]


def rules(text: str) -> set[str]:
    return {finding.rule for finding in registry.scan(text, ("pii",))}


@pytest.mark.parametrize(("rule", "text"), TOLD_ALONE.items())
def test_a_number_with_a_check_of_its_own_needs_no_word(rule: str, text: str) -> None:
    assert rules(f"see {text}, please") == {rule}


@pytest.mark.parametrize("text", BESIDE_WORDS)
def test_other_numbers_are_told_by_the_word_beside_them(text: str) -> None:
    assert rules(text)
    assert not rules(text[-9:].replace(":", " ").strip("r "))


@pytest.mark.parametrize("text", WRITTEN_OTHERWISE)
def test_other_spaces_hyphens_and_figures_hide_nothing(text: str) -> None:
    assert rules(text)


@pytest.mark.parametrize("text", NOBODYS)
def test_figures_without_a_valid_check_are_left_alone(text: str) -> None:
    assert not rules(text)


@given(st.text("0123456789", min_size=8, max_size=24), st.sampled_from(" -./"), st.integers(1, 7))
def test_any_figures_are_judged(digits: str, mark: str, size: int) -> None:
    for value in (digits, mark.join(digits[n : n + size] for n in range(0, len(digits), size))):
        assert all(needs in (0, 1, 2) for _, needs in national_numbers.told(value))


# One number of each kind that the table knows, made by its issuer's arithmetic.
PROVED = {
    "argentine_cuit": "20-17254359-7",
    "australian_abn": "51 824 753 556",
    "australian_acn": "004 085 616",
    "australian_medicare": "2123 45670 1",
    "australian_tfn": "459 286 172",
    "austrian_insurance": "1990 160699",
    "baltic_id": "37605030299",
    "belgian_id": "85.07.30-033.28",
    "brazilian_cnpj": "11.222.333/0001-81",
    "brazilian_cpf": "529.982.247-25",
    "brazilian_driver": "78419526904",
    "brazilian_pis": "501.32931.38-5",
    "british_tax": "1651116542",
    "bulgarian_egn": "1611225569",
    "canadian_health": "9908674708",
    "canadian_sin": "046-454-286",
    "chilean_rut": "12.345.678-5",
    "chinese_id": "110101198412286986",
    "colombian_nit": "784.199.715-7",
    "croatian_oib": "05306076727",
    "czech_id": "710319/2745",
    "dominican_cedula": "060-1972869-7",
    "dutch_bsn": "985058766",
    "ecuadorian_id": "0804986305",
    "emirati_id": "784-1975-9737841-9",
    "french_nir": "2 55 08 14 168 025 38",
    "french_tax": "11 01 011 953 111",
    "german_tax_id": "86095742719",
    "greek_amka": "02049675370",
    "greek_tax": "706236329",
    "hungarian_taj": "443199202",
    "icelandic_id": "130695-0009",
    "indian_aadhaar": "8051 3311 3857",
    "israeli_id": "060479805",
    "italian_vat": "15069780029",
    "japanese_my_number": "158080602408",
    "kazakh_iin": "900901564638",
    "korean_business": "160-25-58826",
    "korean_id": "1101011982121",
    "latvian_id": "110101-19560",
    "luxembourgish_id": "1999112243435",
    "mexican_clabe": "784196475767455834",
    "mexican_nss": "29406063817",
    "new_zealand_ird": "94-071-658",
    "norwegian_id": "01010750160",
    "polish_nip": "260-072-24-64",
    "polish_pesel": "44051401458",
    "portuguese_nif": "930891333",
    "romanian_cnp": "2800101221146",
    "russian_pension": "800-219-166 45",
    "russian_tax": "110101198606",
    "saudi_id": "2801966264",
    "south_african_id": "8001015009087",
    "spanish_account": "1988 1204 16 9096780054",
    "swedish_id": "196210-1026",
    "swiss_ahv": "756.9217.0769.85",
    "thai_id": "6405072773316",
    "turkish_id": "53012610996",
    "uk_nhs": "943 476 5919",
    "ukrainian_tax": "9313581768",
    "us_bank_routing": "021000021",
    "us_npi": "1234567893",
    "yugoslav_id": "2404973015681",
}
FORM_ONLY = {  # their issuers give them no check digit, or keep it to themselves
    "danish_cpr": "070899-3743",
    "egyptian_id": "29611092578007",
    "indonesian_npwp": "29.304.102.8-865.713",
    "malaysian_id": "880214-10-5895",
    "pakistani_cnic": "35202-5185871-6",
    "philippine_sss": "02-1195297-8",
}


def names(value: str) -> set[str]:
    return {name for name, _ in national_numbers.told(value)}


def test_every_kind_of_number_has_an_example() -> None:
    assert {number.name for number in national_numbers.NUMBERS} == PROVED.keys() | FORM_ONLY.keys()


@pytest.mark.parametrize(("name", "value"), [*PROVED.items(), *FORM_ONLY.items()])
def test_a_number_is_known_by_its_issuers_rule(name: str, value: str) -> None:
    assert name in names(value)


# The last figure, of all others.
CHECKED_AT = {"australian_medicare": -3, "british_tax": -10, "icelandic_id": -2}


@pytest.mark.parametrize(("name", "value"), PROVED.items())
def test_no_other_check_digit_proves_the_same_number(name: str, value: str) -> None:
    at = CHECKED_AT.get(name, -1)
    before, right, after = value[:at], value[at], value[at:][1:]
    assert [digit for digit in "0123456789" if name in names(before + digit + after)] == [right]


LETTERED = [
    (national_letters.spanish, "12345678Z", "12345678A"),
    (national_letters.finnish, "131052-308T", "131052-308U"),
    (national_letters.irish, "1234567T", "1234567A"),
    (national_letters.irish, "1234567FA", "1234567GA"),
    (national_letters.singaporean, "S1234567D", "S1234567A"),
    (national_letters.german_health, "A123456780", "A123456789"),
    (national_letters.travel, "L01X00T471", "L01X00T472"),
    (national_letters.portuguese_card, "000000000ZZ4", "000000000ZZ5"),
    (national_letters.spanish_company, "A58818501", "A58818502"),
    (national_letters.singaporean_company, "53125226D", "53125226E"),
    (national_letters.singaporean_company, "201912345R", "201912345A"),
    (wallets.proves, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
    (wallets.proves, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "right", "wrong"), LETTERED)
def test_letters_are_checked_as_their_issuers_do(
    check: Callable[[str], bool], right: str, wrong: str
) -> None:
    assert check(right)
    assert not check(wrong)


@given(st.sampled_from(sorted(TOLD_ALONE)), st.integers(0, 99), st.integers(1, 9))
def test_one_wrong_figure_of_a_number_with_two_check_digits_is_found_out(
    name: str, place: int, more: int
) -> None:
    text = TOLD_ALONE[name]
    if name not in (
        "norwegian_id",
        "belgian_id",
        "brazilian_cpf",
        "brazilian_cnpj",
        "french_nir",
        "chinese_id",
    ):
        return
    figures = [at for at, char in enumerate(text) if char.isdigit()]
    at = figures[place % len(figures)]
    wrong = text[:at] + str((int(text[at]) + more) % 10) + text[at + 1 :]
    assert name not in rules(wrong)
