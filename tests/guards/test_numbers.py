"""Numbers that states give: published examples prove themselves, and a wrong figure is found out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import national_numbers, registry

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
    "A123456780",  # the check digit of A123456789 is wrong
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


@given(st.text("0123456789", min_size=9, max_size=18))
def test_any_figures_are_judged(digits: str) -> None:
    for _ in national_numbers.plain(digits):
        pass
    for size in (2, 3, 4):
        for mark in " -./":
            national_numbers.grouped(mark.join(digits[n : n + size] for n in range(0, len(digits), size)))


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
