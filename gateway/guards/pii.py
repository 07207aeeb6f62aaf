"""Personal data that has a form: addresses, phones, cards, accounts and the numbers that states give to people.

A number proves itself by its checksum, by its form, or by the words around it; most need two of the three, because honest text is
full of numbers. Names alone are not looked for: no list knows them all, and half the dictionary is somebody's name.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property
from operator import attrgetter

from gateway.guards import checksums, documents, national_letters, national_numbers, wallets
from gateway.guards import pii_shapes as shapes
from gateway.guards.decode import View
from gateway.guards.documents import RUNNING
from gateway.guards.findings import Finding, Sample, covered
from gateway.guards.patterns import Hit, Patterns
from gateway.guards.taken import Taken

NEAR = 48  # characters around a number in which a word speaks for it

_ALIKE = {  # one for one, so that places stay
    **{ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"},
    **{ord(c): " " for c in "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u2060\u3000\ufeff"},
    **{point: chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F) if point != 0xFF0D},
    **{point: str(unicodedata.decimal(chr(point))) for point in range(0x80, 0x10000) if chr(point).isdecimal()},
}  # fmt: skip


class Pii:
    name = "pii"
    threshold = 0.5

    @cached_property
    def _patterns(self) -> Patterns:
        return Patterns(shapes.RULES)

    def scan(self, sample: Sample) -> list[Finding]:
        return [finding for view in sample.views for finding in self._view(view)]

    def _view(self, view: View) -> Iterator[Finding]:
        taken = Taken()
        text = view.text if view.text.isascii() else view.text.translate(_ALIKE)
        for name, score, start, end in self._verdicts(text):
            if score and taken.take(start, end):
                excerpt = covered(text[start:end])
                yield Finding(self.name, name, *view.span(start, end), score, excerpt, view.how)

    def _verdicts(self, text: str) -> Iterator[Verdict]:
        hits = list(self._patterns.find(text))
        words = [hit for hit in hits if hit.rule == "document"] if hits else []
        for hit in hits:
            if hit.rule in _BESIDE:
                yield from _beside(hit, text)
            elif (verdict := _judge(hit, text, words)) is not None:
                yield verdict
        if len(text) <= documents.LONGEST and documents.FIELD.match(text):
            for name, start, end in documents.alone(text):
                yield name, 0.55, start, end


Verdict = tuple[str, float, int, int]
_BESIDE = ("document", "plate_spoken")


def _beside(hit: Hit, text: str) -> Iterator[Verdict]:
    """What only the word beside it makes a number of a document, or of a vehicle."""
    plate = hit.rule == "plate_spoken"
    for start, end in (
        documents.plate_beside(text, hit.end) if plate else documents.beside(text, hit.start, hit.end)
    ):
        if not shapes.DENIED.search(text, max(0, start - NEAR), start):
            yield "vehicle" if plate else "document_number", 0.6, start, end


def _judge(hit: Hit, text: str, words: list[Hit]) -> Verdict | None:
    rule, start, end = hit.rule, hit.start, hit.end
    value = text[start:end]
    before, after = text[max(0, start - NEAR) : start], text[end : end + 24]
    if rule in _BY_FORM:
        return (rule, _BY_FORM[rule], start, end) if not shapes.DENIED.search(before) else None
    first = bisect_left(words, start - NEAR, key=_START)  # the words stand in their order
    named = first < len(words) and words[first].end <= end + 24
    judged = _JUDGES[rule](value, before, after, named)
    if judged is None:
        return None
    name, score, size = judged
    return name, score, start, start + size


_START = attrgetter("start")
Judged = tuple[str, float, int] | None
_BY_FORM = {"german_licence": 0.6, "german_pension": 0.6, "german_register": 0.6, "indian_pan": 0.6,
            "indian_gstin": 0.8, "medicare_beneficiary": 0.6, "uk_nino": 0.6, "vehicle": 0.55, "military_post": 0.8,
            "address": 0.6, "street": 0.6, "postcode": 0.6, "ip_person": 0.6, "italian_code": 0.8, "italian_licence": 0.55,
            "email_spelled": 0.7, "birth": 0.6, "travel_document": 0.8, "mexican_curp": 0.8, "mexican_rfc": 0.6}  # fmt: skip


def _email(value: str, before: str, after: str, named: bool) -> Judged:
    if shapes.NOBODY.search(value) or ("://" in before[-40:] and " " not in before[before.rfind("://") :]):
        return None
    return "email", 0.9, len(value)


_ISSUERS = re.compile(r"4|5[0-8]|6|3[0-9]|2(?:2[2-9]|[3-6]|7[01]|720)|1800|2131|1(?:22|35)")


def _card(value: str, before: str, after: str, named: bool) -> Judged:
    """A card's number, also where a date or a code of three figures follows it."""
    for shorter in (value, *_CARD_AND_MORE.findall(value)):
        if found := _one_card(shorter, before, after):
            return found
    return None


_CARD_AND_MORE = re.compile(r"^(\d{4}(?:[ .-]?\d{4}){3}|\d{4}[ -]?\d{6}[ -]?\d{5})[ .-]")


def _one_card(value: str, before: str, after: str) -> Judged:
    digits = re.sub(r"\D", "", value)
    word = bool(shapes.CARD_WORD.search(before) or shapes.CARD_WORD.search(after))
    if (
        not checksums.luhn(digits)
        or not _ISSUERS.match(digits)
        or len(set(digits)) < 2
        or shapes.DENIED.search(before)
    ):
        return None
    if not word and (
        not digits.startswith(_ISSUED.get(len(digits), ()))
        or ((" " in value or "." in value) and not _GROUPED.fullmatch(value))
    ):
        return None
    return "card", 0.95 if word else 0.8, len(value)


# How cards begin, by their length. Numbers of telephones (IMEI) have fifteen figures and the same check.
_ISSUED = {14: ("36", "38", "39", "30"), 15: ("34", "37", "2131"), 16: tuple("23456"), 19: tuple("3456")}
_GROUPED = re.compile(r"\d{4}(?:[ .-]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{4,5}|\d+")


def _iban(value: str, before: str, after: str, named: bool) -> Judged:
    found = checksums.iban(value)
    if not found:
        return None
    size = [at for at, char in enumerate(value, 1) if char.isalnum()][len(found) - 1]
    rest = value[size : size + 1]
    return None if rest.isalnum() or value[size : size + 2].strip().isdigit() else ("iban", 0.95, size)


def _ssn(value: str, before: str, after: str, named: bool) -> Judged:
    if RUNNING.search(re.sub(r"\D", "", value)):
        return None  # 123-45-6789 is everybody's example
    area, group, serial = int(value[:3]), int(value[4:6]), int(value[7:])
    if not area or not group or not serial or area == 666 or value[3] != value[6]:
        return None
    if area >= 900:
        return ("us_itin", 0.7, len(value)) if 50 <= group <= 99 else None
    return "us_ssn", 0.8, len(value)


def _told(value: str, before: str, named: bool) -> tuple[str, bool] | None:
    """A state's number, which is not the middle of something longer, and whether a word names it, too."""
    if " " in value and _MIDDLE.search(before):
        return None
    for name, needs in national_numbers.told(value):
        if named or needs == national_numbers.NOTHING:
            return name, named
    return None


_MIDDLE = re.compile(r"(?:^|\s)(?=\w{0,3}\d)[A-Z0-9]{2,4} $")


def _phone(value: str, before: str, after: str, named: bool) -> Judged:
    if value.count("(") != value.count(")"):
        value = value[: value.rfind("(")].rstrip()  # what follows in brackets is no part of it
    if (told := _told(value, before, named)) and not shapes.DENIED.search(before):
        return told[0], 0.7, len(value)
    digits = sum(c.isdigit() for c in value)
    if (
        not 6 <= digits <= 15
        or shapes.DATE.search(value)
        or shapes.DENIED.search(before)
        or value.count("(") != value.count(")")
        or ".." in value
        or "--" in value
    ):
        return None
    plain = value.strip()
    if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){2,3}|\+?\d+\.\d+|\d{6}/\d{3,4}", plain):
        return None  # a version, an address of a machine, a number
    if shapes.PHONE_WORD.search(before) or re.match(
        r"[-\s,\\]{0,3}(?:office|fax|mobile|home|cell|desk|work)\b", after, re.I
    ):
        return "phone", 0.8, len(value)
    return ("phone", 0.7, len(value)) if shapes.BARE_PHONE.fullmatch(plain) and digits >= 9 else None


def _digits(value: str, before: str, after: str, named: bool) -> Judged:
    if shapes.DENIED.search(before):
        return None
    told = _told(value, before, named)
    return (told[0], 0.8 if named else 0.6, len(value)) if told else None


def _dashed(value: str, before: str, after: str, named: bool) -> Judged:
    if shapes.DENIED.search(before):
        return None
    told = _told(value, before, named)
    return (told[0], 0.7, len(value)) if told else None


def _wallet(value: str, before: str, after: str, named: bool) -> Judged:
    """Of Ethereum's addresses most are programs'."""
    if value.startswith("0x"):
        return ("wallet", 0.6, len(value)) if shapes.WALLET_WORD.search(before) else None
    return ("wallet", 0.9, len(value)) if wallets.proves(value) else None


_TITLE = r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Sr|Sra)\.? $|(?i:my|his|her|their|our) \w+ $|(?i:name(?:'s| is)) $"

_JUDGES: dict[str, Callable[[str, str, str, bool], Judged]] = {
    "email": _email, "card": _card, "iban": _iban, "us_ssn": _ssn, "phone": _phone, "digits": _digits, "dashed": _dashed, "wallet": _wallet,
    "finnish_id": lambda value, before, after, named: ("finnish_id", 0.8, len(value)) if national_letters.finnish(value) else None,
    "spanish_id": lambda value, before, after, named: ("spanish_id", 0.8, len(value)) if national_letters.spanish(value) else None,
    "singapore_fin": lambda value, before, after, named: ("singapore_fin", 0.6, len(value)) if national_letters.singaporean(value) else None,
    "hong_kong_id": lambda value, before, after, named: ("hong_kong_id", 0.8, len(value)) if national_letters.hong_kong(re.sub(r"\W", "", value)) else None,
    "taiwanese_id": lambda value, before, after, named: ("taiwanese_id", 0.55, len(value)) if national_letters.taiwanese(value) and not shapes.DENIED.search(before) else None,
    "american_prescriber": lambda value, before, after, named: ("american_prescriber", 0.55, len(value)) if national_letters.american_prescriber(value) and not shapes.DENIED.search(before) else None,
    "person": lambda value, before, after, named: ("person", 0.55, len(value)) if " " in value or not value.isascii() or re.search(_TITLE, before) else None,
    "german_tax": lambda value, before, after, named: ("german_tax", 0.55, len(value)),
}  # fmt: skip

SCANNER = Pii()
