"""Documents: told by the word beside them in whatever language, or by their form where nothing else stands in a field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guards import registry
from gateway.guards.taken import Taken

NAMED = [
    "passport: 533380006",
    '{"passport_number": "X48551247"}',
    "여권번호 M80912502",
    "护照号码 E40205187",
    "パスポート番号: TZ1239663",
    "паспорт серия 28 56 695084",
    "رقم جواز السفر W78643982",
    "D4577208 is my driver's license",
    "numéro de permis B909-3754-0047",
    "운전면허번호 11-15-282702-53",
    "mi DNI es 63.973.453",
    "cpr_number=050295-1718",
    "my ssn is 536 90 4399",
    "ИНН 014401661509",
    "ΑΜΚΑ: 15025085968",
    "มีเลขประจำตัวประชาชน: 1926488823949",
    "dowód osobisty EHT161966",
    "Steuernummer 93/815/08152",
    "P.IVA: 18025880651",
    "CNIC 34543-2324951-2",
    "my PPS number is 6061296U",
    "sort code 54-71-98",
    "the account number is 78033949",
    "número de cuenta 49780209",
    "MRN 482913",
    "amtliches Kennzeichen: B-AB 2590",
    "number plate DB-752-CD",
    "targa WM 700 YE",
    "send it to my wallet 0x52908400098527886E0F8030069857D2E4169EE7",
]

ALONE = [
    "M80912502",
    "m123a4567",
    "AAA123456",
    "12AB34567",
    "L01X00T471",
    "35202-5185871-6",
    "11-15-282702-53",
    "MORGA657054SM9IJ",
    "MH12AB1234",
    "AB-123-CD",
    "34 ABC 1234",
    "CHE-123.456.788",
    "DE136695976",
    ' "M80912502" ',
    "M80912502, AAA123456",
    "15069780029",
    "529982247-25",
]

NO_DOCUMENTS = [
    "driver 535.104.05 supports CUDA 12.2",
    "Copyright 2019-2023 under the MIT license",
    "license key check failed with code 0x80070005",
    "the tax on 12500 EUR is 2375 EUR",
    "insurance costs 120000 per year",
    "routing: 192.168.100.200 via 10.0.0.1",
    "TCP FIN sent at 1700000000",
    "the driver logged 150000 miles",
    "account number must have 8 to 12 digits",
    "12-34-56 is not a sort code",
    "NIT: fix typo in line 12345",
    "as defined in RFC 2373 2.5.2",
    "My NRIC is S1234567A",  # the letter is wrong, as documentation writes it
    "see M80912502 for that",
    "order A1234567",
    "202411201538",
    "imei 490154203237518",
    "06ab123",
    "count=2123456701",
    "run 1237010180 took 1234567890121 ns",
    "INC0012345",
    "REQ123456",
    "KB4012345",
    "CVE-2024-12345",
    "AB123456",
    "1700000000",
    "a1b2c3d",
    "us-east-1",
    "RTX 4090",
    "storage at 0x52908400098527886E0F8030069857D2E4169EE7",
]


def rules(text: str) -> set[str]:
    return {finding.rule for finding in registry.scan(text, ("pii",))}


@pytest.mark.parametrize("text", NAMED)
def test_a_word_beside_a_number_makes_it_a_document(text: str) -> None:
    assert rules(text)


@pytest.mark.parametrize("text", ALONE)
def test_a_field_that_holds_a_document_and_nothing_else(text: str) -> None:
    assert rules(text)


@pytest.mark.parametrize("text", NO_DOCUMENTS)
def test_other_numbers_are_no_documents(text: str) -> None:
    assert not rules(text)


def test_a_form_alone_can_be_left_out_by_the_threshold() -> None:
    assert [finding.score for finding in registry.scan("M80912502", ("pii",))] == [0.55]


@pytest.mark.parametrize(
    "text",
    [
        "\u212a01X00T471",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3\u017f4",
        "passport \u00b2\u00b2\u00b2\u00b2\u00b2\u00b2\u00b2\u00b2",
    ],
)
def test_letters_and_figures_of_other_alphabets_prove_nothing(text: str) -> None:
    assert not rules(text)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=30))
def test_no_place_is_taken_twice(asked: list[tuple[int, int]]) -> None:
    taken, kept = Taken(), set[int]()
    for start, size in asked:
        place = set(range(start, start + size))
        assert taken.take(start, start + size) == kept.isdisjoint(place)
        if kept.isdisjoint(place):
            kept |= place
